"""What has to be there for the examples of templates to work (`seeds`)."""

from tests.api.seeds import Places, World, seed

LETTER = (
    '<p>Hello {{ contact.first_name | default: "there" }}, we have sent {{ data.order_no }}.</p>'
)


def _template(world: World) -> int:
    made = world.call(
        "POST",
        "/v1/templates",
        name="Order shipped",
        subject="Order {{ data.order_no }} is on its way",
        source=LETTER,
    )
    return int(made["template"]["id"])


def _save_template(world: World, template_id: int) -> None:
    world.call(
        "POST",
        "/v1/templates/save",
        template_id=template_id,
        version=1,
        subject="Order {{ data.order_no }} is on its way to you",
        source=LETTER,
    )


@seed("list_templates", "preview_template")
def _some_template(world: World) -> None:
    _template(world)


@seed("get_template", "list_template_versions")
def _one_template(world: World) -> Places:
    return Places(path={"template_id": _template(world)})


@seed("save_template", "rename_template", "archive_template")
def _named_template(world: World) -> Places:
    return Places(body={"template_id": _template(world)})


@seed("restore_template")
def _saved_template(world: World) -> Places:
    template_id = _template(world)
    _save_template(world, template_id)
    return Places(body={"template_id": template_id})


@seed("bring_back_template")
def _archived_template(world: World) -> Places:
    template_id = _template(world)
    world.call("DELETE", "/v1/templates", template_id=template_id)
    return Places(body={"template_id": template_id})
