"""The forms that our pages and home organisations send: a few fields, URL-encoded; what is more than that is not worth the reading."""

from io import BytesIO
from typing import IO, Any, Final

from werkzeug import Request
from werkzeug.datastructures import MultiDict
from werkzeug.exceptions import RequestEntityTooLarge
from werkzeug.formparser import FormDataParser

_URL_ENCODED: Final = "application/x-www-form-urlencoded"
_MOST_FIELDS: Final = 50


class FewFields(FormDataParser):
    """Reads URL-encoded forms of few fields; of another media type, such as multipart, there is nothing to be read."""

    def parse(
        self, stream: IO[bytes], mimetype: str, content_length: int | None, options: dict[str, str] | None = None
    ) -> tuple[IO[bytes], MultiDict[str, str], MultiDict[str, Any]]:
        """Return an empty stream, the fields, and no files. Raises RequestEntityTooLarge, an HTTPException, for too many fields."""
        if mimetype != _URL_ENCODED:
            return stream, self.cls(), self.cls()
        content = stream.read()
        # Taking apart half a megabyte of empty fields holds up every other page of the worker.
        if content.count(b"&") >= _MOST_FIELDS:
            raise RequestEntityTooLarge
        return super().parse(BytesIO(content), mimetype, len(content), options)


class PageRequest(Request):
    """A request to the companion page."""

    form_data_parser_class = FewFields
