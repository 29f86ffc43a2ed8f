"""The memo of shards at addresses: where each picture lies in them.

A tar archive has no list of its members. It is gone through to find them, which at an address means
to fetch all of it, and is done once.
"""

from __future__ import annotations

import hashlib
import json
import zlib

from featx.files import cache_folder
from featx.images.memo import Memo
from featx.images.packed.container_file import ContainerFile
from featx.images.packed.tar_archive import TarArchive


class ShardMemo(Memo):
    """Remembers what is in shards, as long as they are unchanged."""

    what = "shards"
    table = "shards_1"
    columns = "address BLOB PRIMARY KEY, contents BLOB, seal BLOB"

    @classmethod
    def usual(cls) -> ShardMemo:
        """Return the one in the cache of this machine."""
        return cls(cache_folder() / "shards.sqlite")

    def known(self, file: ContainerFile, label_column: str) -> TarArchive | None:
        """Return what is in a shard; None where that is not known, or it has changed."""
        key = _key(file, label_column)
        contents, seal = self._select("contents, seal", [key]).get(key, (b"", b""))
        if not contents or seal != _seal(file, contents):
            return None
        return TarArchive.from_dict(json.loads(zlib.decompress(contents)))

    def remember(self, file: ContainerFile, held: TarArchive) -> None:
        """Remember what is in a shard."""
        contents = zlib.compress(json.dumps(held.to_dict()).encode(), 1)
        key = _key(file, held.label_column)
        self._insert([(key, contents, _seal(file, contents))])


def _key(file: ContainerFile, label_column: str) -> bytes:
    return f"{label_column}\0{file.path}".encode()


def _seal(file: ContainerFile, contents: bytes) -> bytes:
    """Tie what is known to the state of the object, and tell a bit that was flipped."""
    return hashlib.sha256(b"%d %d %d %b" % (*file.stamp, contents)).digest()[:8]
