"""`maild people`: letting the first person in, and helping who is locked out. For whoever runs the
instance: it asks for no password, and prints links that are good for a sign-in.
"""

from datetime import UTC, datetime

import click

from maild import config, db
from maild.domain.actor import COMMAND_LINE
from maild.domain.role import Role
from maild.errors import MaildError
from maild.services import (
    invitations,
    members,
    people_desk,
    people_mail,
    processes,
    workspaces,
)
from maild.services.invitations import Made
from maild.services.people_desk import Listed

INVITER = "The operator of this maild"


@click.group("people")
def group() -> None:
    """Who signs in: inviting the first one, and helping who is locked out."""


@group.command("invite")
@click.argument("email")
@click.option("--workspace", "workspace_id", type=click.IntRange(min=1), help="1 unless given.")
@click.option("--new-workspace", "name", metavar="NAME", help="Make a workspace for them.")
@click.option(
    "--role",
    type=click.Choice([role.value for role in members.ROLES]),
    default=Role.ADMIN.value,
    show_default=True,
)
def invite(email: str, workspace_id: int | None, name: str | None, role: str) -> None:
    """Invite somebody into a workspace; mails the link, and prints it.

    It lets the first person in, and works in every SIGNUP_MODE; in `closed` for those who have an
    account. Who is invited already gets a new link.
    """
    if workspace_id is not None and name is not None:
        raise click.UsageError("--workspace and --new-workspace: give one of them.")
    _start()
    with db.connection():
        if name is not None:
            made = people_desk.invite_into_new(name, email=email, role=role, by=COMMAND_LINE)
        else:
            into = workspace_id or workspaces.DEFAULT_WORKSPACE_ID
            made = people_desk.invite(into, email=email, role=role, by=COMMAND_LINE)
        row = made.invitation
        where = f"workspace {row.workspace_id}, “{workspaces.get(row.workspace_id).name}”"
        click.echo(f"{row.email} is invited to {where}, as {row.role.value}.")
        click.echo(f"The link works once, until {_time(row.expires_at)}:\n{made.url}")
        _mail(made)


def _mail(made: Made) -> None:
    """Mail the link as well: it is printed, so that nothing is lost where that fails."""
    try:
        will_arrive = invitations.mail(made, inviter=INVITER)
    except MaildError as error:
        click.echo(f"It could not be mailed ({error}) Pass it on yourself.", err=True)
        return
    if will_arrive:
        click.echo("A mail with it is on its way too.")
    else:
        click.echo(
            "It was not mailed: mail to this address came back. Pass it on yourself.", err=True
        )


@group.command("list")
@click.option("--workspace", "workspace_id", type=click.IntRange(min=1), help="All unless given.")
def list_people(workspace_id: int | None) -> None:
    """List the people, by their address, with the workspaces that they belong to."""
    _start()
    with db.connection():
        listed, is_more = people_desk.list_all(workspace_id=workspace_id)
    for person in listed:
        click.echo(_describe(person))
    if is_more:
        click.echo(f"These are the first {people_desk.LIST_MAX}: there are more.")
    if not listed:
        click.echo("Nobody yet. The first one is invited with: maild people invite EMAIL")


@group.command("reset-link")
@click.argument("email")
def reset_link(email: str) -> None:
    """Print a link with which somebody chooses a new password."""
    _start()
    with db.connection():
        url = people_desk.make_reset_url(email, by=COMMAND_LINE)
    click.echo(f"The link works once, for an hour, and ends all of their sessions:\n{url}")


@group.command("confirm")
@click.argument("email")
def confirm(email: str) -> None:
    """Take somebody's address for confirmed, where no mail arrives."""
    _start()
    with db.connection():
        is_new = people_desk.confirm(email, by=COMMAND_LINE)
    click.echo("The address is confirmed." if is_new else "The address was confirmed already.")


@group.command("remove-second-factor")
@click.argument("email")
def remove_second_factor(email: str) -> None:
    """Turn somebody's second factor off, who has lost it and the recovery codes.

    Make sure that it is them who ask. They are told of it by mail.
    """
    _start()
    with db.connection():
        person = people_desk.remove_second_factor(email, by=COMMAND_LINE)
        if person is None:
            click.echo("There was no second factor.")
            return
        click.echo("The second factor is off: the password alone signs them in now.")
        what = "the operator of this maild turned the second factor off"
        if not people_mail.send_news(person.email, name=person.name, what=what):
            click.echo("They could not be told by mail. Tell them.", err=True)


@group.command("sign-out")
@click.argument("email")
def sign_out(email: str) -> None:
    """End all sessions of somebody: a lost laptop, a person who has left."""
    _start()
    with db.connection():
        count = people_desk.sign_out(email, by=COMMAND_LINE)
    click.echo(f"Sessions that have ended: {count}.")


def _start() -> None:
    processes.start(config.load(), name="people", pool_size=2, is_program=True)
    processes.require_schema()


def _describe(person: Listed) -> str:
    places = [f"{one.role.value} of {one.id} ({one.name})" for one in person.workspaces]
    parts = [
        ", ".join(places) or "in no workspace",
        f"last here {_time(person.seen_at)}",
        *(["second factor"] if person.has_second_factor else []),
        *([] if person.is_confirmed else ["address not confirmed"]),
    ]
    return f"{person.email}  {person.name}  {'; '.join(parts)}"


def _time(at: datetime) -> str:
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
