"""The words of a reply, without what differs between servers that say the same.

In charge of lower case, punctuation, addresses and URLs. Not in charge of what words mean
(`reply_rules`).
"""

import re

# Words that come and go between one server and the next and change nothing.
_LITTLE = frozenset(
    {"the", "a", "an", "is", "was", "are", "were", "be", "been", "being", "this", "that", "these",
     "your", "our", "sorry", "unfortunately", "it", "its", "i", "am"}
)  # fmt: skip
_CONTRACTIONS = {
    "doesnt": "does not", "dont": "do not", "didnt": "did not", "isnt": "not", "wasnt": "not",
    "arent": "not", "werent": "not", "wont": "will not", "cant": "can not", "cannot": "can not",
    "couldnt": "could not", "hasnt": "has not", "havent": "have not", "aint": "not",
}  # fmt: skip
_BLOCKLIST_HOSTS = ("spamhaus", "dnsbl", "rbl", "blocklist", "blacklist", "spamcop", "sorbs",
                    "senderbase", "cloudmark", "uribl", "surbl", "barracuda")  # fmt: skip
_WORD = re.compile(r"[^\W_]+|@|(?<!\S):(?!\S)")
_APOSTROPHES = str.maketrans("", "", "'’´`")  # "doesn't", and what some keyboards make of it
# Not the server's words: Postfix's remark, which may name "MAIL FROM", and Cisco's title for 5.1.0,
# whatever the reply that it quotes after it.
_REMARKS = re.compile(r"\(in reply to [a-z ]{1,40}\)|unknown address error")


def plain_words(text: str) -> str:
    """The words of a reply as the table has them, one space before, between and after them."""
    kept = []
    for chunk in _REMARKS.sub(" ", text.lower()).split():
        if "@" in chunk:
            kept.append("@")
        elif "://" in chunk or chunk.startswith("www."):
            if any(host in chunk for host in _BLOCKLIST_HOSTS):
                kept.append("blacklist")
        else:
            kept.append(chunk)
    words = [
        _CONTRACTIONS.get(word, word)
        for word in _WORD.findall(" ".join(kept).translate(_APOSTROPHES))
        if not (word in _LITTLE or word.isdigit())
    ]
    return f" {' '.join(words)} "
