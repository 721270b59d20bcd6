"""The language of merge fields: a small part of Liquid, read and rendered without the library.

    {{ contact.first_name | default: "there" }}
    {% if data.items.size > 0 %}{% for item in data.items %}{{ item.name }}{% endfor %}{% endif %}

`expression` reads what stands in a tag, `filters` are what may be done to a value, and `template`
puts the tags of a text together and renders them. Nothing here can reach more than the data that it
is given, and what a render may take is bounded: steps, characters, depth (docs/templates.md).
"""
