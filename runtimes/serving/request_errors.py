"""What a client is told that asked for something that it does not get."""

from collections.abc import Mapping

from runtimes.errors import EdgepressError

__all__ = ["RequestError"]


class RequestError(Exception):
    """An answer with an error's status, which names what is wrong with the request.

    Args:
        status: Of HTTP, 400 to 599.
        message: What is wrong, and where. It goes to the client, never into the log.
        hint: What to do instead.
        headers: Further headers of the answer.
    """

    def __init__(
        self,
        status: int,
        message: str,
        *,
        hint: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.hint = hint
        self.headers = dict(headers or {})

    @classmethod
    def of(cls, error: EdgepressError | TypeError | ValueError) -> "RequestError":
        """Return the refusal of what the model, or its task, does not take."""
        if isinstance(error, EdgepressError):
            return cls(422, error.message, hint=error.hint)
        return cls(422, str(error))

    def to_json(self) -> dict[str, str]:
        """Return the answer's body."""
        return {"error": self.message, **({} if self.hint is None else {"hint": self.hint})}
