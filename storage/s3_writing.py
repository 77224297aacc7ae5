"""Writing to a bucket: whole objects with their SHA-256, large ones in parts, and deletion."""

from __future__ import annotations

import hashlib
import io
import logging
import mimetypes
import os
import tempfile
from collections.abc import Iterable
from typing import IO, Any

from storage.errors import ObjectNotFound, ObjectStoreError
from storage.object_records import StoredObject
from storage.s3_access import S3Reader
from storage.s3_errors import code_of, gathering_error

log = logging.getLogger(__name__)

PART_BYTES = 16 * 2**20
"""Objects larger than this are uploaded in parts of this size (larger ones where that would be too many parts)."""

_MOST_PARTS = 10_000
_DELETED_AT_ONCE = 1000
_REFUSED = ("PreconditionFailed", "412")
_WRITER_AT_WORK = ("ConditionalRequestConflict", "409")
_CONFLICT_ATTEMPTS = 3


class S3Writer(S3Reader):
    """The objects of a bucket of ours."""

    requests = S3Reader.requests | {
        "put_object", "create_multipart_upload", "upload_part", "complete_multipart_upload", "abort_multipart_upload",
        "delete_object", "delete_objects",
    }  # fmt: skip

    def put(self, key: str, data: bytes, *, sha256: str, if_absent: bool) -> StoredObject:
        """Writes the object; its SHA-256 goes into its metadata.

        Args:
            if_absent: asks the server to refuse where an object stands already. Some servers ignore it in silence.

        Raises:
            FileExistsError: with ``if_absent``, where the server says that one stands there.
        """
        if len(data) > PART_BYTES:
            return self._put_parts(key, io.BytesIO(data), len(data), sha256=sha256, if_absent=if_absent)
        with self._errors(key, "written"):
            answer = self._conditional("put_object", if_absent, **self._described(key, sha256), Body=data)
        return _stored(key, len(data), sha256, answer)

    def put_file(self, key: str, file: IO[bytes], *, sha256: str, if_absent: bool) -> StoredObject:
        """The same with the bytes of a file, from its start; no more than a part of it is held."""
        size_bytes = file.seek(0, os.SEEK_END)
        file.seek(0)
        if size_bytes <= PART_BYTES:
            return self.put(key, file.read(), sha256=sha256, if_absent=if_absent)
        return self._put_parts(key, file, size_bytes, sha256=sha256, if_absent=if_absent)

    def put_stream(self, key: str, chunks: Iterable[bytes]) -> StoredObject:
        """Writes an object that is not held in memory.

        It is gathered in a temporary file first: S3 wants an object's metadata, and so its hash, before its bytes.
        """
        digest = hashlib.sha256()
        with tempfile.TemporaryFile() as file:
            for chunk in chunks:
                digest.update(chunk)
                self._set_aside(key, file, chunk)
            return self.put_file(key, file, sha256=digest.hexdigest(), if_absent=False)

    def _set_aside(self, key: str, file: IO[bytes], chunk: bytes) -> None:
        try:
            file.write(chunk)
            file.flush()
        except OSError as error:
            raise gathering_error(error, url=self.url, key=key, doing="written") from error

    def _put_parts(self, key: str, file: IO[bytes], size_bytes: int, *, sha256: str, if_absent: bool) -> StoredObject:
        """Part after part; nothing of it is left where it does not come to its end."""
        part_bytes = max(PART_BYTES, -(-size_bytes // _MOST_PARTS))
        with self._errors(key, "written"):
            upload_id = self._call("create_multipart_upload", **self._described(key, sha256))["UploadId"]
            upload = self._named(key) | {"UploadId": upload_id}
            try:
                parts = []
                while piece := file.read(part_bytes):
                    number = len(parts) + 1
                    etag = self._call("upload_part", **upload, PartNumber=number, Body=piece)["ETag"]
                    parts.append({"PartNumber": number, "ETag": etag})
                answer = self._complete(key, upload, parts, if_absent, sha256)
            except BaseException:
                self._abort(key, upload)
                raise
        return _stored(key, size_bytes, sha256, answer)

    def _complete(
        self, key: str, upload: dict[str, Any], parts: list[dict[str, Any]], if_absent: bool, sha256: str
    ) -> Any:
        """Makes the parts one object. Where the first answer was lost the upload is gone, and the object stands."""
        try:
            return self._conditional("complete_multipart_upload", if_absent, **upload, MultipartUpload={"Parts": parts})
        except Exception as error:
            if code_of(error) != "NoSuchUpload":
                raise
            try:
                stands = self.stored(key)
            except ObjectNotFound:
                raise error from None
            if stands.sha256 != sha256:
                raise
            return {"ETag": stands.etag, "VersionId": stands.version_id}

    def _abort(self, key: str, upload: dict[str, Any]) -> None:
        try:
            self._call("abort_multipart_upload", **upload)
        except Exception as error:
            if code_of(error) != "NoSuchUpload":
                log.warning("%s: the parts of %r could not be removed: %s", self.url, key, error)

    def _conditional(self, request: str, if_absent: bool, **arguments: Any) -> Any:
        """A write, refused where an object stands; asked again where another writer is just at it."""
        if if_absent:
            arguments["IfNoneMatch"] = "*"
        conflicts = 0
        while True:
            try:
                return self._call(request, **arguments)
            except Exception as error:
                if if_absent and code_of(error) in _REFUSED:
                    raise FileExistsError(arguments["Key"]) from error
                conflicts += 1
                if code_of(error) not in _WRITER_AT_WORK or conflicts == _CONFLICT_ATTEMPTS:
                    raise

    def _described(self, key: str, sha256: str) -> dict[str, Any]:
        kind = mimetypes.guess_type(key)[0] or "application/octet-stream"
        return self._named(key) | {"Metadata": {"sha256": sha256}, "ContentType": kind}

    # -- deletion -----------------------------------------------------------------------------------------------

    def delete(self, key: str) -> None:
        """Deletes the object; one that is not there is no error."""
        with self._errors(key, "deleted"):
            self._call("delete_object", **self._named(key))

    def delete_prefix(self, prefix: str) -> int:
        """Deletes every object whose key begins so, markers of folders too; gives their number."""
        arguments: dict[str, Any] = {"Bucket": self._bucket, "Prefix": self._start + prefix}
        deleted = 0
        with self._errors(prefix, "deleted"):
            while found := self._call("list_objects_v2", **arguments, MaxKeys=_DELETED_AT_ONCE).get("Contents"):
                names = [{"Key": one["Key"]} for one in found]
                answer = self._call("delete_objects", Bucket=self._bucket, Delete={"Objects": names, "Quiet": True})
                if failed := answer.get("Errors"):
                    first = failed[0]
                    raise ObjectStoreError(
                        f"{len(failed)} objects of {self.url} cannot be deleted, such as {first['Key']!r}: "
                        f"{first.get('Message') or first.get('Code')}; ask for s3:DeleteObject",
                        url=self.url, key=prefix,
                    )  # fmt: skip
                deleted += len(names)
        return deleted


def _stored(key: str, size_bytes: int, sha256: str, answer: Any) -> StoredObject:
    return StoredObject(
        key=key,
        size_bytes=size_bytes,
        sha256=sha256,
        etag=(answer.get("ETag") or "").strip('"') or None,
        version_id=answer.get("VersionId"),
    )
