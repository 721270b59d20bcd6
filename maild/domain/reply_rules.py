"""What the words of an SMTP reply mean: the table of wordings.

In charge of text alone. Codes and stages, and what follows from a meaning, are for `smtp_reply`.

Servers say a hundred things under one code, and the same thing under a hundred codes. So the table
knows wordings, family by family, and the first family found decides. Complaints about the sender
come before complaints about the recipient: a false suppression loses a customer silently, a missed
one costs a few refused mails.

A wording is looked for in the reply's words as `reply_words.plain_words` gives them: "The user
<a@example.com> doesn't exist!" reads " user @ does not exist ". Plain substrings, so it is quick
on any text.
"""

import re
from dataclasses import dataclass

from maild.domain.reply_classes import ErrorClass, Fault, Meaning, Proof
from maild.domain.reply_words import plain_words

_THROTTLED = Meaning(ErrorClass.RATE_LIMITED, Fault.US, is_path_fault=True)
_RECIPIENT_BUSY = Meaning(ErrorClass.RATE_LIMITED, Fault.RECIPIENT)
_FULL = Meaning(ErrorClass.MAILBOX_FULL, Fault.RECIPIENT)
_TOO_LARGE = Meaning(ErrorClass.MESSAGE_TOO_LARGE, Fault.MESSAGE)
_GREYLISTED = Meaning(ErrorClass.GREYLISTED, Fault.RECIPIENT, is_temporary=True)
_TLS_WANTED = Meaning(ErrorClass.TLS, Fault.US, is_path_fault=True)
_TLS_BROKEN = Meaning(ErrorClass.TLS, Fault.PROVIDER, is_path_fault=True)
_SIGN_IN = Meaning(ErrorClass.AUTH, Fault.US, is_path_fault=True)
_SENDER = Meaning(ErrorClass.POLICY, Fault.US)
_RECIPIENT_RULES = Meaning(ErrorClass.POLICY, Fault.RECIPIENT)
_REPUTATION = Meaning(ErrorClass.REPUTATION, Fault.US)
_SPAM = Meaning(ErrorClass.SPAM_CONTENT, Fault.MESSAGE)
_CLOSING = Meaning(ErrorClass.CONNECTION, Fault.PROVIDER, is_path_fault=True)
_SYSTEM_FULL = _CLOSING
_BROKEN = Meaning(ErrorClass.UNKNOWN, Fault.PROVIDER)
_NEXT_HOP_TIMEOUT = Meaning(ErrorClass.TIMEOUT, Fault.RECIPIENT)
_NEXT_HOP_DOWN = Meaning(ErrorClass.CONNECTION, Fault.RECIPIENT)
_NEXT_HOP_DNS = Meaning(ErrorClass.DNS, Fault.RECIPIENT)
_NO_DOMAIN = Meaning(ErrorClass.INVALID_DOMAIN, Fault.RECIPIENT, Proof.PLAIN)
_NO_MAILBOX = Meaning(ErrorClass.INVALID_RECIPIENT, Fault.RECIPIENT, Proof.PLAIN)
_MAYBE_NO_MAILBOX = Meaning(ErrorClass.INVALID_RECIPIENT, Fault.RECIPIENT, Proof.UNLESS_CODE)
_HARDLY_NO_MAILBOX = Meaning(ErrorClass.INVALID_RECIPIENT, Fault.RECIPIENT, Proof.WITH_CODE)
_NOT_VERIFIED = Meaning(ErrorClass.INVALID_RECIPIENT, Fault.RECIPIENT, is_temporary=True)
_GONE = Meaning(ErrorClass.INACTIVE_MAILBOX, Fault.RECIPIENT, Proof.PLAIN)
_LOCKED = Meaning(ErrorClass.INACTIVE_MAILBOX, Fault.RECIPIENT, Proof.WITH_CODE)
_REFUSED = Meaning(ErrorClass.POLICY, Fault.US)

# Families in the order in which they are asked; wordings parted by "|". A wording begins at a word
# and may end inside one ("blacklist" finds "blacklisted"), unless it ends with a space.
_FAMILIES: tuple[tuple[Meaning, str], ...] = (
    # No server to deliver to: qmail, Exim, Postfix, OpenSMTPD. RFC 5321 5.1, RFC 7505. Before the
    # families that know "ip address" and "no smtp service" of others.
    (
        _NO_DOMAIN,
        "not find mail exchanger|not find any mail exchanger|no mail exchanger|not find any host"
        "|indicated no smtp service|mx records point to non existent"
        "|mx records point to nonexistent|no mx found for domain|no mx or records"
        "|domain has null mx",
    ),
    # The recipient gets too much, from everybody: Gmail's 4.2.1 and 5.2.1, Yahoo's 450.
    # https://support.google.com/a/answer/3726730
    (
        _RECIPIENT_BUSY,
        "receiving mail at|receiving mail too|receiving too m|mailbox busy|recipient busy"
        "|too many messages for recipient|too many messages to recipient|recipient rate",
    ),
    (_FULL, "user has too many messages|mailbox has too many"),
    # Before quotas: "daily message quota exceeded" is ours, "quota exceeded" the mailbox's.
    # https://docs.aws.amazon.com/ses/latest/dg/manage-sending-quotas-errors.html
    (
        _THROTTLED,
        "throttl|too many connection|too many concurrent|too many simultaneous|too many session"
        "|too many smtp|too many message|too many mail|too many email|too many e mail"
        "|too many recipient|too many rcpt|too many request|too many unknown|too many invalid"
        "|too many error|too many bad|too many failed|too many from|too many login"
        "|excessive unknown|sent to too many"
        "|too much mail from|too much spam|too fast|too quickly|too frequent|too often|slow down"
        "|rate limit|ratelimit|rate exceed|rate control|sending rate|message rate|submission rate"
        "|connection rate|connection frequency|ip frequency|frequency limit|unusual rate"
        "|unusual volume|unexpected volume|high volume|mail flood|flooding|reduce sending"
        "|sending limit|sending quota|send limit|send quota|daily limit|daily quota|daily sending"
        "|daily message|daily relay|hourly limit|hourly quota|monthly limit|monthly quota"
        "|message quota|relay quota|relay limit|relaying quota|mail quota exceeded for sender"
        "|maximum messages per|max message per|messages per connection|messages per hour"
        "|emails per hour|emails per day|messages per day|message limit|messaging limit|mail limit"
        "|recipient limit|recipients per |connection limit|concurrent connection|connection count"
        "|concurrency limit|credits exceeded|maximum credits|failures per hour"
        # NetEase: https://mail.163.com, its help page of return codes.
        "|hl icc|hl ifc|mi dmc|mi sfq|rp drc",
    ),
    (
        _FULL,
        "mailbox full|mail box full|inbox full|folder full|box full|account full|storage full"
        "|user full|mailfolder full|over quota|overquota|over storage"
        "|over disk|over limit|overdrawn|quota exceed|quotaexceed|quota excessive|exceeded quota"
        "|exceeds quota|exceed quota|exceeding quota|exceeded mail quota|quota full|quota limit"
        "|quota violation|quota reached|quota has|quota would|out of quota|out of storage"
        "|disk quota|storage quota|mailbox quota|user quota|account quota|exceeded storage"
        "|exceeds storage|exceeded allowed storage|exhausted allowed|exhausted storage"
        "|exhausted quota|storage allocation|storage limit"
        "|storage space|mailbox space|mailbox exceed|mailbox has exceed|mailbox would exceed"
        "|mailbox size|mailbox too large|mailbox limit|maildir over|maildir full|over allotted"
        "|over allocated|over maximum|not enough storage|not enough space"
        "|no space left in mailbox|insufficient mailbox|too much mail data|depot full"
        "|shutoffquotaexceeded|boite pleine|boîte pleine|boite aux lettres pleine|quota depasse"
        "|quota dépassé|speicherplatz|speichervolumen|postfach voll|postfach ist voll"
        "|casella piena|buzon lleno|buzón lleno|buzon esta lleno|caixa cheia|caixa postal cheia",
    ),
    # Before sizes: SendGrid's and Postfix' words for mail that nobody took for days.
    (_NEXT_HOP_TIMEOUT, "message too old"),
    (
        _TOO_LARGE,
        "message too|message size|message length|message exceeds|message file too|mail size"
        "|mail too|mailsize|size limit|size exceed|exceeds size|exceeded size|exceeds maximum"
        "|exceeds fixed maximum|maximum message|too large|too big|attachment too",
    ),
    # RFC 6647: the words by which greylisting servers say what they do.
    (_GREYLISTED, "greylist|graylist|grey list|gray list|postgrey|sqlgrey|milter grey"),
    (
        _SYSTEM_FULL,
        "insufficient system|insufficient disk|insufficient resource|disk full"
        "|out of disk|no space left|system full|out of memory|queue full",
    ),
    (
        _TLS_WANTED,
        "must issue starttls|starttls first|starttls required|starttls command|starttls before"
        "|tls required|requires tls|require tls|requires starttls|must use tls|use tls"
        "|requires encryption|encryption required|encryption needed|encrypted connection required"
        "|secure connection required|ssl required|requires ssl",
    ),
    (
        _TLS_BROKEN,
        "tls not available|tls currently|tls unavailable|tls temporarily|tls negotiation"
        "|tls handshake|starttls failed|no tls",
    ),
    # SPF, DKIM, DMARC: https://support.google.com/mail/answer/81126 and all that came after it.
    (
        _SENDER,
        "spf|dkim|dmarc|arc |domainkey|sender policy framework|sender id|purported responsible"
        "|unauthenticated email|unauthenticated mail|unauthenticated message|not authenticated mail"
        "|sender unauthenticated|does not designate|not designated|authentication information"
        "|authentication results|authentication checks|authentication check|pass authentication"
        "|spoof|forged|impersonat|not authorized to send from|not authorized to send as"
        "|not authorized to send mail from|not authorised to send from"
        "|not allowed to send mail from|not allowed to send as|not permitted to send as",
    ),
    # The recipient lets only some write: Exchange's RESOLVER.RST, lists, and personal filters.
    (
        _RECIPIENT_RULES,
        "resolver rst|authrequired|recipient preference|recipients preference|recipient has block"
        "|recipient blocked|recipient refused|recipient rejects|recipient only|recipient does not"
        " want|recipient does not accept mail from|refused by recipient|rejected by recipient"
        "|blocked by recipient|rejected by user|refused by user|blocked by user|user has blocked"
        "|user refuses|user rejects|user only accepts|user does not want|only accepts|only accept"
        "|accepts mail only|accepts only|you not allowed to send|not allowed to send to"
        "|not permitted to send|not authorized to send|does not have permission"
        "|do not have permission|not have permission|delivery not authorized"
        "|delivery not authorised|message refused by|closed list|moderated|only members"
        "|members only|not member|not subscribed|not on whitelist|not in whitelist"
        "|not whitelisted|blocked list of user|private list|list access|message filtered"
        "|filtered",
    ),
    (
        _SIGN_IN,
        "smtp authentication|authentication required|authentication credentials|client not auth"
        "|unauthenticated sender|unauthenticated user|must authenticate"
        "|must auth|please authenticate|authenticate first|login first"
        "|log in first|must login|must log in|not logged in|check mail before|check for new mail"
        "|pop before|invalid credentials|invalid user name or|user name or password"
        "|username or password|invalid login|bad credentials|authentication failed"
        "|authentication failure|authentication unsuccessful|auth failed|auth required|need auth"
        "|sign in first|password not accepted|username and password",
    ),
    # Not the table of Postfix that is named so: "user unknown in relay recipient table".
    (
        _SENDER,
        "relay access|relaying denied|relay denied|relaying not|relay not|relay operation"
        "|not relay|unable to relay|relaying prohibited"
        "|relay prohibited|no relay|not permitted to relay|not allowed to relay|denies relay"
        "|relaying disallow|relay disallow|open relay|openrelay|relay check|relaying mail"
        "|relaying from|relaying to|relay for|relaying for|mail relay|to relay"
        "|rcpthosts|non local recipient|nonlocal recipient"
        "|third party|tenantattribution|not verified|unverified sender|not hosted|not gateway",
    ),
    # The sending server or network is not trusted.
    (
        _REPUTATION,
        "blacklist|black list|blocklist|block list|blocked list|blackhole|black hole"
        "|rbl|dnsbl|bl |spamhaus|spamcop|sorbs|surbl|uribl|barracudacentral"
        "|senderbase|senderscore|sender score|cloudmark|blocked using|blocked by|blocked due"
        "|blocked because of|blocked for|blocked ip|blocked from|blocked see|ip blocked"
        "|ip address blocked|ip source|listed at|listed on|listed by|ip listed"
        "|reputation|trust score|banned ip|banned sending|banned host|ip banned|banned from"
        "|has banned|bad ip|black ip|client host|host rejected|host blocked"
        "|host refused|client blocked|client rejected|server access|suspicious ip|reverse dns"
        "|rdns|ptr|reverse lookup|reverse mapping|reverse hostname|reverse host|reverse name"
        "|name lookup failed|find hostname|resolve hostname|find host name"
        "|valid hostname|generic hostname|dynamic ip|dynamic address|dynamically assigned"
        "|residential|dial up|dialup|client ip|server ip|sending ip|source ip|remote ip|from ip"
        "|ip address|invalid ip|ip not|host not allowed|not allowed to connect"
        "|not permitted to connect|connections not accepted|connection not accepted"
        "|connection refused due|connection blocked|not accept connections from"
        "|not accepting connections from|complaint|messages from|mail from server|network on"
        "|part of network|will not accept delivery|refuse mail from|refuses mail from"
        "|refused mail from|not accept mail from|not accepting mail from|not accept email from"
        "|not receive mail from"
        "|unsolicited mail originating|low trust|abuse|excessive|directory harvest|dictionary"
        "|smtp server of isp|hl rep|wm bli|rp rcl",
    ),
    # The content, be it advertising or a virus.
    (
        _SPAM,
        "spam|ube |uce |unsolicited|junk|bulk|virus|malware|phish|infected|trojan|worm|ransom"
        "|content reject|content filter|content refused|content denied|content not|content violat"
        "|message content|content presents|blocked content|blocked url|url in|links in|forbidden"
        " attachment|banned attachment|attachment type|attachment not|attachments not|executable"
        "|mail rejete|mail rejected|message looks|looks like|suspicious|scored|advertis"
        "|dt spm|hl spm|mcspam|quarantine",
    ),
    # The sender's address, its domain, or the name we greet with.
    (
        _SENDER,
        "sender address|sender reject|sender denied|sender refused|sender blocked|sender domain"
        "|sender verif|sender email|sender invalid|sender not|sender unknown|sender does|sender @"
        "|senders|invalid sender|bad sender|unknown sender|unresolvable sender|of sender"
        "|host denies sender|forbidden sender|envelope sender|return path|reverse path"
        "|mail from|from address|from header|from domain|from field|in from|from @|from must"
        "|badmailfrom|sending domain|sending address|sender s |verify sender|sender callout"
        "|originator|expediteur|expéditeur|absender|mittente|remitente|remetente|helo|ehlo"
        "|purported|bounce address|verification failed|callback|wm blu",
    ),
    (
        _SENDER,
        "policy|policies|administrative prohibition|administratively prohibited|admin prohibit"
        "|prohibited|not compliant|rfc compliant|compliance|violat|no longer supported"
        "|no longer allowed|no longer permitted|header error|headers error"
        "|duplicate header|multiple addresses|security|message refused|message rejected"
        "|message not accepted|message not allowed",
    ),
    # The server's own trouble, which speaks of missing files and unknown errors.
    (
        _BROKEN,
        "no such file|no such device|no such process|config|internal error|internal server"
        "|system error|server error|unknown error|unexpected error|unexpected exception"
        "|unhandled|temporary error|mailer error",
    ),
    # The recipient's address could not be checked; that is not the same as wrong.
    (
        _NOT_VERIFIED,
        "unverified address address|unverified address recipient address lookup"
        "|address verification in progress|verification in progress|address lookup failed"
        "|recipient lookup|directory lookup|lookup failure|temporary lookup",
    ),
    (
        _CLOSING,
        "closing connection|closing transmission|closing channel|closing session|closing control"
        "|not accepting connections|no smtp service|server shutting|shutting down"
        "|service refuse|too busy|server busy",
    ),
    # Domains: the whole of it takes no mail. RFC 7505 5: "null MX".
    (
        _NO_DOMAIN,
        "no such domain|domain does not exist|domain not exist|domain not found|domain name not"
        "|domain unknown|unknown domain|invalid domain|domain invalid|domain not valid|bad domain"
        "|bad destination system|bad destination host|bad destination domain|illegal host"
        "|non existent domain|nonexistent domain|nonexisting domain|domain non exist|nxdomain"
        "|domain does not accept|domain does not receive|domain does not have|domain has no"
        "|domain no longer|domain not reachable|domain @ does not|domain disabled|domain expired"
        "|host unknown|unknown host|no such host|host not found|host does not exist|host or domain"
        "|unrouteable mail domain|unroutable mail domain|unrouteable domain|unroutable domain"
        "|does not accept mail|does not accept email|does not accept e mail|does not receive mail"
        "|does not receive email|accepts no mail|no mail accepted|not accepting network"
        "|null mx|nullmx|domaine inconnu|domaine inexistant|domaine invalide|domain unbekannt"
        "|dominio no existe|dominio inexistente|dominio sconosciuto|dominio inesistente",
    ),
    (_NEXT_HOP_DNS, "dns |name service|name server|mx lookup|mx record|dnserror"),
    (
        _NEXT_HOP_TIMEOUT,
        "message expired|queue expired|delivery expired|timed out|timeout|delivery time",
    ),
    (
        _NEXT_HOP_DOWN,
        "connection refused|connection reset|connection dropped|lost connection"
        "|no route|hop count|many hops|mail loop|routing loop|loops back|looping"
        "|network unreachable",
    ),
    # NTT docomo says "550 Unknown user" and the address of those who refuse the sender as well:
    # https://support.ntt.com/mail/faq/detail/pid2300000e64. KDDI's au, once it has seen the
    # message, says ": User unknown" and leaves the name before the colon out.
    (_HARDLY_NO_MAILBOX, ": user unknown|unknown user @"),
    # Once there, and no more.
    (
        _GONE,
        "no longer|has moved|user moved|mailbox moved|recipient moved|account moved|address moved"
        "|moved to|has changed address|address has changed|address changed|new address|has left"
        "|left company|retired|has resigned|deceased|account closed|mailbox closed|address closed"
        "|account terminated|mailbox terminated|user terminated|account cancel|account deleted"
        "|mailbox deleted|user deleted|account removed|mailbox removed|user removed|has deleted"
        "|has closed|has removed|has terminated|has cancel|has discontinued|deleted account"
        "|deleted mailbox|deleted user|closed account|abandoned"
        "|not in use|n est plus|n existe plus|existiert nicht mehr|nicht mehr",
    ),
    # The same in other tongues; their words for "unknown" are not used of anything else here.
    (
        _NO_MAILBOX,
        "destinataire invalide|destinataire inconnu|destinataire inexistant|adresse inconnu"
        "|adresse invalide|adresse inexistant|utilisateur inconnu|utilisateur inexistant"
        "|compte inexistant|compte inconnu|boite inconnu|boite inexistant|boite aux lettres inconn"
        "|n existe pas|unbekannt|nicht bekannt|existiert nicht|nicht vorhanden|nicht gefunden"
        "|kein benutzer|kein solcher|ungultige adresse|ungültige adresse|ungueltige adresse"
        "|desconocid|no existe|inexistente|direccion no valida|dirección no válida|sconosciut"
        "|inesistente|non esiste|indirizzo non valido|desconhecid|nao existe|não existe"
        "|onbekend|bestaat niet|nie istnieje|nieznany|neexistuje|neznam|ukendt|okand|okänd"
        "|tuntematon|bilinmeyen|bulunamad|не существует|не найден|неизвестн|нет такого"
        "|不存在|无此用户|無此用戶|没有此用户|存在しません|宛先不明|見つかりません|존재하지",
    ),
    (
        _NO_MAILBOX,
        "recipnotfound|recipientnotfound|mailboxnotfound|usernotfound|usersearch|userunknown"
        "|does not exist|do not exist|did not exist|not exist|non existent|nonexistent"
        "|non existing|nonexist|doesnot exist"
        "|unknown in|no user|no mailbox|no mail box|no account|no recipient by"
        "|no one by|nobody by|no person|no valid recipient|no such address|no such person"
        "|no such local|no such box"
        "|not customer|not user of|not user here|not have account"
        "|not have any account|does not have @ account|does not have email|does not have mailbox"
        "|not listed in|validrcptto|not in domino|not listed domino|not found in|not match any"
        "|unrouteable|unroutable|undeliverable address|user not local|not local user"
        "|not local address|not local mailbox|unknown local|unknown or illegal|unknown or invalid"
        "|unknown or inactive|unknown address|unknown destination|unknown virtual"
        "|invalid or unknown|dest addr not found|not have such user|not mailbox here"
        "|list of allowed recipients|address you entered could not"
        "|unknown recipient|unknown alias|unknown account|unknown mailbox|unknown email"
        "|unknown e mail|unknown customer|unknown subscriber|unknown login"
        "|unknown username|illegal user|illegal alias|illegal recipient|illegal address"
        "|bad destination|bad address|bad recipient|bad mailbox|bad user|dead address"
        "|inactive email address|mailbox name invalid|not deliverable to|invalid final delivery"
        "|unrecognised or name|unrecognized or name",
    ),
)

# Somebody or something that takes mail, and what may be said of it, in either order.
_WHO = (
    "user|users|recipient|recipients|mailbox|mailboxes|mail box|account|address|addressee|alias"
    "|local part|email|e mail|email address|subscriber|customer|member"
    "|login|inbox|receiver|destination|rcpt|@"
)
_WHAT_AFTER = (
    "unknown|invalid|not found|not exist|not known|not valid|not here|not listed|not local"
    "|not registered|not recognized|not recognised|not recognizable|not defined|not present"
    "|not hosted|not identified|can not found|could not found|not resolved|does not have"
    "|does not appear|incorrect|wrong|undefined|undeliverable|non existent"
)
_WHAT_BEFORE = (
    "invalid|no such|not valid|not known|not recognized|not recognised|not found|not registered"
    "|can not find|could not find|unable to find|no known|non existent|nonexistent|non existing"
    "|incorrect|wrong|not local|not existing|undefined|unrecognized"
)
_NOBODY = re.compile(
    rf" (?:(?:{_WHO})(?: @| name| address)? (?:{_WHAT_AFTER}) "
    rf"|(?:{_WHAT_BEFORE}) (?:local |destination |email |e mail |mail )?(?:{_WHO}) )"
)
# The stock phrases. Where a server has an enhanced code at hand and takes another than 5.1.1, it
# does not stand by them: carriers and filters say so of a recipient who refuses us.
_STOCK = (" user unknown ", " unknown user ", " mailbox unavailable ", " mailbox not available ")

_LATE_FAMILIES: tuple[tuple[Meaning, str], ...] = (
    # Whoever locks an account may open it again: permanent for this message, not for the address.
    (
        _LOCKED,
        "disabled|suspended|suspension|deactivated|inactive|frozen|locked|account blocked"
        "|mailbox blocked|account expired|not active|inactivated|not activated"
        "|not enabled|not accepting m|not accepting e|not accept messages|not accept any"
        "|mailbox temporarily|mailbox currently|user temporarily|recipient temporarily"
        "|account temporarily|account currently|on hold|on vacation|dormant|hibernat"
        "|bloque |bloqué|gesperrt|deaktiviert|bloccat|bloquead|desactivad|restricted",
    ),
    (
        _MAYBE_NO_MAILBOX,
        "mailbox name not allowed|recipient unavailable|user unavailable"
        "|account unavailable|address unavailable",
    ),
    (
        _REFUSED,
        "access denied|denied|blocked|forbidden|not allowed|not permitted|not authorized"
        "|not authorised|unauthorized|disallowed|blocage|protocol error",
    ),
)

# Nothing but this, and the recipient before it: the whole answer is about the recipient. Other
# words would have followed if there were another reason.
_REJECTED = frozenset(
    {
        "@ recipient address rejected",
        "recipient address rejected",
        "@ recipient rejected",
        "recipient rejected",
        "@ address rejected",
        "address rejected @",
        "address rejected",
        "@ rejected",
    }
)
_BARE = frozenset(
    {"rejected", "reject", "refused", "mail refused", "not accepted", "rejected mail"}
)


@dataclass(frozen=True, slots=True)
class _Wording:
    """One wording, with the space before it that makes it begin at a word."""

    rank: int
    text: str
    meaning: Meaning


_Index = dict[str, list[_Wording]]


def _index(families: tuple[tuple[Meaning, str], ...]) -> _Index:
    """The wordings by their first two characters, so that most are never looked for."""
    index: _Index = {}
    rank = 0
    for meaning, wordings in families:
        for wording in wordings.split("|"):
            index.setdefault(wording[:2], []).append(_Wording(rank, f" {wording}", meaning))
            rank += 1
    return index


_EARLY = _index(_FAMILIES)
_LATE = _index(_LATE_FAMILIES)


def meaning_of(text: str, *, is_transient: bool) -> Meaning | None:
    """What the text of a refusal says, None where no wording is known."""
    words = plain_words(text)
    starts = {f"{word} "[:2] for word in words.split()}
    found = _first(_EARLY, words, starts, is_transient)
    if found:
        return found
    if any(phrase in words for phrase in _STOCK):
        return _MAYBE_NO_MAILBOX
    if _NOBODY.search(words):
        return _NO_MAILBOX
    alone = words.strip()
    if alone in _REJECTED:
        return _MAYBE_NO_MAILBOX
    if alone in _BARE:
        return _REFUSED
    return _first(_LATE, words, starts, is_transient)


def _first(index: _Index, words: str, starts: set[str], is_transient: bool) -> Meaning | None:
    """The meaning of the wording that comes first in the table."""
    first: _Wording | None = None
    for start in starts & index.keys():
        for wording in index[start]:
            if first and wording.rank > first.rank:
                break
            if wording.text in words and (is_transient or not wording.meaning.is_temporary):
                first = wording
                break
    return first.meaning if first else None
