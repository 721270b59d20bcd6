"""What machines are told that watch a process."""

from typing import Literal

from pydantic import BaseModel, Field


class Health(BaseModel):
    status: Literal["ok"]


class ReadinessCheck(BaseModel):
    ok: bool
    detail: str = Field(description="What is wrong, or that it is well.")


class ServiceReadiness(BaseModel):
    status: Literal["ready", "unavailable"]
    missing: list[str] = Field(description="The checks that do not hold.")
    checks: dict[str, ReadinessCheck] = Field(
        description="`postgres`, `redis`, `migrations`, `worker`."
    )
