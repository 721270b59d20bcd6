"""SMTP accounts. Written by `python -m tools.client`: do not edit."""

from __future__ import annotations

from typing import Literal

from maild_client.shapes.smtp_accounts import (
    SmtpAccountActivated,
    SmtpAccountDeleted,
    SmtpAccountList,
    SmtpAccountSaved,
    SmtpAccountSwitched,
    SmtpAccountValid,
)
from maild_client.transport import UNSET, Transport, Unset


class SmtpAccountsOperations(Transport):
    """Operations of the chapter SMTP accounts."""

    def save_smtp_account(
        self,
        *,
        name: str,
        host: str,
        port: int,
        from_email: str,
        username: str | Unset | None = UNSET,
        password: str | Unset | None = UNSET,
        security: Literal["auto", "starttls", "tls", "none"] | Unset = UNSET,
        max_connections: int | Unset = UNSET,
        max_per_second: float | Unset | None = UNSET,
        priority: int | Unset = UNSET,
        return_path: str | Unset | None = UNSET,
        workspace_id: int | Unset | None = UNSET,
    ) -> SmtpAccountSaved:
        """Add an SMTP account, or replace the one of that name.

        POST /v1/smtp-accounts.
        """
        answer: SmtpAccountSaved = self._json(
            "POST",
            "/v1/smtp-accounts",
            body={
                "name": name,
                "host": host,
                "port": port,
                "from_email": from_email,
                "username": username,
                "password": password,
                "security": security,
                "max_connections": max_connections,
                "max_per_second": max_per_second,
                "priority": priority,
                "return_path": return_path,
                "workspace_id": workspace_id,
            },
        )
        return answer

    def delete_smtp_account(
        self,
        *,
        name: str,
        workspace_id: int | Unset | None = UNSET,
    ) -> SmtpAccountDeleted:
        """Forget an account that is not active.

        DELETE /v1/smtp-accounts.
        """
        answer: SmtpAccountDeleted = self._json(
            "DELETE",
            "/v1/smtp-accounts",
            body={
                "name": name,
                "workspace_id": workspace_id,
            },
        )
        return answer

    def list_smtp_accounts(
        self,
        *,
        workspace_id: int | None = None,
    ) -> SmtpAccountList:
        """The SMTP accounts of a workspace, that of the environment first, and how they do.

        GET /v1/smtp-accounts/list.
        """
        answer: SmtpAccountList = self._json(
            "GET",
            "/v1/smtp-accounts/list",
            query={
                "workspace_id": workspace_id,
            },
        )
        return answer

    def activate_smtp_account(
        self,
        *,
        name: str,
        workspace_id: int | Unset | None = UNSET,
    ) -> SmtpAccountActivated:
        """Send the workspace's mail through this account.

        POST /v1/smtp-accounts/activate.
        """
        answer: SmtpAccountActivated = self._json(
            "POST",
            "/v1/smtp-accounts/activate",
            body={
                "name": name,
                "workspace_id": workspace_id,
            },
        )
        return answer

    def validate_smtp_account(
        self,
        *,
        name: str,
        workspace_id: int | Unset | None = UNSET,
    ) -> SmtpAccountValid:
        """Connect to an account and sign in, without sending anything.

        POST /v1/smtp-accounts/validate.
        """
        answer: SmtpAccountValid = self._json(
            "POST",
            "/v1/smtp-accounts/validate",
            body={
                "name": name,
                "workspace_id": workspace_id,
            },
        )
        return answer

    def pause_smtp_account(
        self,
        *,
        name: str,
        reason: str,
        workspace_id: int | Unset | None = UNSET,
    ) -> SmtpAccountSwitched:
        """Let no mail through an account until it is resumed.

        POST /v1/smtp-accounts/pause.
        """
        answer: SmtpAccountSwitched = self._json(
            "POST",
            "/v1/smtp-accounts/pause",
            body={
                "name": name,
                "workspace_id": workspace_id,
                "reason": reason,
            },
        )
        return answer

    def resume_smtp_account(
        self,
        *,
        name: str,
        workspace_id: int | Unset | None = UNSET,
        reason: str | Unset | None = UNSET,
    ) -> SmtpAccountSwitched:
        """Let mail through a paused account again.

        POST /v1/smtp-accounts/resume.
        """
        answer: SmtpAccountSwitched = self._json(
            "POST",
            "/v1/smtp-accounts/resume",
            body={
                "name": name,
                "workspace_id": workspace_id,
                "reason": reason,
            },
        )
        return answer
