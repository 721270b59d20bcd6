"""Contacts. Written by `python -m tools.client`: do not edit."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from maild_client.shapes.contacts import (
    AttributeKind,
    AttributeList,
    AttributeRemoved,
    AttributeSaved,
    ConsentIn,
    ContactBatchOut,
    ContactDetail,
    ContactFieldsIn,
    ContactPage,
    ContactRemoved,
    ContactSaved,
    ImportColumn,
    ImportConsent,
    ImportDetails,
    ImportPage,
)
from maild_client.shapes.shared import ContactOut
from maild_client.transport import UNSET, Transport, Unset, path_segment


class ContactsOperations(Transport):
    """Operations of the chapter Contacts."""

    def save_contact(
        self,
        *,
        email: str,
        name: str | Unset | None = UNSET,
        attributes: dict[str, str | float | bool | None] | Unset = UNSET,
        topics: list[str] | Unset | None = UNSET,
        consent: ConsentIn | Unset | None = UNSET,
        double_opt_in: bool | Unset = UNSET,
        workspace_id: int | Unset | None = UNSET,
    ) -> ContactSaved:
        """Make a contact, or add to what is known of one.

        POST /v1/contacts.
        """
        answer: ContactSaved = self._json(
            "POST",
            "/v1/contacts",
            body={
                "email": email,
                "name": name,
                "attributes": attributes,
                "topics": topics,
                "consent": consent,
                "double_opt_in": double_opt_in,
                "workspace_id": workspace_id,
            },
        )
        return answer

    def list_contacts(
        self,
        *,
        workspace_id: int | None = None,
        email_start: str | None = None,
        domain: str | None = None,
        audience_id: int | None = None,
        topic: str | None = None,
        status: Literal["pending", "active"] | None = None,
        standing: Literal["suppressed", "unsubscribed", "pending", "open"] | None = None,
        email: str | None = None,
        limit: int | None = None,
        cursor: str | None = None,
    ) -> ContactPage:
        """Contacts, newest first, in pages.

        GET /v1/contacts.
        """
        answer: ContactPage = self._json(
            "GET",
            "/v1/contacts",
            query={
                "workspace_id": workspace_id,
                "email_start": email_start,
                "domain": domain,
                "audience_id": audience_id,
                "topic": topic,
                "status": status,
                "standing": standing,
                "email": email,
                "limit": limit,
                "cursor": cursor,
            },
        )
        return answer

    def iter_contacts(
        self,
        *,
        workspace_id: int | None = None,
        email_start: str | None = None,
        domain: str | None = None,
        audience_id: int | None = None,
        topic: str | None = None,
        status: Literal["pending", "active"] | None = None,
        standing: Literal["suppressed", "unsubscribed", "pending", "open"] | None = None,
        email: str | None = None,
        limit: int | None = None,
    ) -> Iterator[ContactOut]:
        """All rows of `list_contacts`, page by page as they are asked for."""
        cursor: str | None = None
        while True:
            page = self.list_contacts(
                workspace_id=workspace_id,
                email_start=email_start,
                domain=domain,
                audience_id=audience_id,
                topic=topic,
                status=status,
                standing=standing,
                email=email,
                limit=limit,
                cursor=cursor,
            )
            yield from page["contacts"]
            cursor = page["next_cursor"]
            if cursor is None:
                return

    def delete_contact(
        self,
        *,
        id: int | Unset | None = UNSET,
        email: str | Unset | None = UNSET,
        workspace_id: int | Unset | None = UNSET,
    ) -> ContactRemoved:
        """Erase a contact.

        DELETE /v1/contacts.
        """
        answer: ContactRemoved = self._json(
            "DELETE",
            "/v1/contacts",
            body={
                "id": id,
                "email": email,
                "workspace_id": workspace_id,
            },
        )
        return answer

    def save_contacts(
        self,
        *,
        contacts: list[ContactFieldsIn],
        workspace_id: int | Unset | None = UNSET,
    ) -> ContactBatchOut:
        """Save up to 1,000 contacts at once; each is accepted or rejected on its own.

        POST /v1/contacts/batch.
        """
        answer: ContactBatchOut = self._json(
            "POST",
            "/v1/contacts/batch",
            body={
                "workspace_id": workspace_id,
                "contacts": contacts,
            },
        )
        return answer

    def export_contacts(
        self,
        *,
        workspace_id: int | None = None,
        email_start: str | None = None,
        domain: str | None = None,
        audience_id: int | None = None,
        topic: str | None = None,
        status: Literal["pending", "active"] | None = None,
        standing: Literal["suppressed", "unsubscribed", "pending", "open"] | None = None,
    ) -> str:
        """Contacts as a CSV file.

        GET /v1/contacts/export.
        """
        return self._raw(
            "GET",
            "/v1/contacts/export",
            query={
                "workspace_id": workspace_id,
                "email_start": email_start,
                "domain": domain,
                "audience_id": audience_id,
                "topic": topic,
                "status": status,
                "standing": standing,
            },
        ).decode()

    def get_contact(
        self,
        contact_id: int,
        *,
        workspace_id: int | None = None,
    ) -> ContactDetail:
        """One contact, and the lists that it is on.

        GET /v1/contacts/{contact_id}.
        """
        answer: ContactDetail = self._json(
            "GET",
            f"/v1/contacts/{path_segment(contact_id)}",
            query={
                "workspace_id": workspace_id,
            },
        )
        return answer

    def list_contact_attributes(
        self,
        *,
        workspace_id: int | None = None,
    ) -> AttributeList:
        """The attributes that contacts may have.

        GET /v1/contacts/attributes.
        """
        answer: AttributeList = self._json(
            "GET",
            "/v1/contacts/attributes",
            query={
                "workspace_id": workspace_id,
            },
        )
        return answer

    def declare_contact_attribute(
        self,
        *,
        name: str,
        kind: AttributeKind,
        workspace_id: int | Unset | None = UNSET,
    ) -> AttributeSaved:
        """Declare an attribute.

        POST /v1/contacts/attributes.
        """
        answer: AttributeSaved = self._json(
            "POST",
            "/v1/contacts/attributes",
            body={
                "name": name,
                "kind": kind,
                "workspace_id": workspace_id,
            },
        )
        return answer

    def delete_contact_attribute(
        self,
        *,
        name: str,
        workspace_id: int | Unset | None = UNSET,
    ) -> AttributeRemoved:
        """Delete an attribute, and its values.

        DELETE /v1/contacts/attributes.
        """
        answer: AttributeRemoved = self._json(
            "DELETE",
            "/v1/contacts/attributes",
            body={
                "name": name,
                "workspace_id": workspace_id,
            },
        )
        return answer

    def send_contact_file(
        self,
        *,
        content: bytes,
        workspace_id: int | None = None,
        name: str | None = None,
        content_type: str = "text/csv",
    ) -> ImportDetails:
        """Send a CSV file of contacts; nothing is imported yet.

        POST /v1/contacts/imports.
        """
        answer: ImportDetails = self._take(
            "/v1/contacts/imports",
            content=content,
            content_type=content_type,
            headers={},
            query={
                "workspace_id": workspace_id,
                "name": name,
            },
        )
        return answer

    def list_contact_imports(
        self,
        *,
        workspace_id: int | None = None,
    ) -> ImportPage:
        """The files of contacts of the last days, newest first.

        GET /v1/contacts/imports.
        """
        answer: ImportPage = self._json(
            "GET",
            "/v1/contacts/imports",
            query={
                "workspace_id": workspace_id,
            },
        )
        return answer

    def get_contact_import(
        self,
        import_id: int,
        *,
        workspace_id: int | None = None,
    ) -> ImportDetails:
        """One file: its layout, what an import would do, and how far it is.

        GET /v1/contacts/imports/{import_id}.
        """
        answer: ImportDetails = self._json(
            "GET",
            f"/v1/contacts/imports/{path_segment(import_id)}",
            query={
                "workspace_id": workspace_id,
            },
        )
        return answer

    def configure_contact_import(
        self,
        *,
        id: int,
        encoding: Literal["utf-8", "cp1252", "iso8859-15", "cp1250", "cp1251", "cp1253", "cp1254"]
        | Unset
        | None = UNSET,
        delimiter: Literal[",", ";", "\t", "|"] | Unset | None = UNSET,
        has_header: bool | Unset | None = UNSET,
        columns: list[ImportColumn] | Unset | None = UNSET,
        audience_id: int | Unset | None = UNSET,
        audience_name: str | Unset | None = UNSET,
        topics: list[str] | Unset = UNSET,
        consent: ImportConsent | Unset | None = UNSET,
        update_known: bool | Unset = UNSET,
        leave_out_roles: bool | Unset = UNSET,
        leave_out_disposable: bool | Unset = UNSET,
        workspace_id: int | Unset | None = UNSET,
    ) -> ImportDetails:
        """Say what the columns are and what is done with the rows, and have it looked at.

        POST /v1/contacts/imports/configure.
        """
        answer: ImportDetails = self._json(
            "POST",
            "/v1/contacts/imports/configure",
            body={
                "id": id,
                "encoding": encoding,
                "delimiter": delimiter,
                "has_header": has_header,
                "columns": columns,
                "audience_id": audience_id,
                "audience_name": audience_name,
                "topics": topics,
                "consent": consent,
                "update_known": update_known,
                "leave_out_roles": leave_out_roles,
                "leave_out_disposable": leave_out_disposable,
                "workspace_id": workspace_id,
            },
        )
        return answer

    def start_contact_import(
        self,
        *,
        id: int,
        check_job_id: int | Unset | None = UNSET,
        workspace_id: int | Unset | None = UNSET,
    ) -> ImportDetails:
        """Import a file as it was looked at.

        POST /v1/contacts/imports/start.
        """
        answer: ImportDetails = self._json(
            "POST",
            "/v1/contacts/imports/start",
            body={
                "id": id,
                "check_job_id": check_job_id,
                "workspace_id": workspace_id,
            },
        )
        return answer

    def undo_contact_import(
        self,
        *,
        id: int,
        reason: str,
        workspace_id: int | Unset | None = UNSET,
    ) -> ImportDetails:
        """Take an import back, as far as nobody has changed its contacts since.

        POST /v1/contacts/imports/undo.
        """
        answer: ImportDetails = self._json(
            "POST",
            "/v1/contacts/imports/undo",
            body={
                "id": id,
                "reason": reason,
                "workspace_id": workspace_id,
            },
        )
        return answer

    def export_rejected_contacts(
        self,
        import_id: int,
        *,
        workspace_id: int | None = None,
    ) -> str:
        """The rows of a file that were refused, with why, as a CSV file.

        GET /v1/contacts/imports/{import_id}/rejected.
        """
        return self._raw(
            "GET",
            f"/v1/contacts/imports/{path_segment(import_id)}/rejected",
            query={
                "workspace_id": workspace_id,
            },
        ).decode()
