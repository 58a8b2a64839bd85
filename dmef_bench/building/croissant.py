"""Croissant: the data set as machines that look for data sets read it."""

from __future__ import annotations

import hashlib
from pathlib import PurePosixPath
from typing import Any

from dmef_bench import strict_json
from dmef_bench.building.facts import Facts
from dmef_bench.manifest import CANONICAL, Manifest

CONFORMS = ("http://mlcommons.org/croissant/1.0", "http://mlcommons.org/croissant/RAI/1.0")
"""The versions that ``mlcroissant`` validates."""

_CONTEXT: dict[str, Any] = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "sc": "https://schema.org/",
    "cr": "http://mlcommons.org/croissant/",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "dct": "http://purl.org/dc/terms/",
    "conformsTo": "dct:conformsTo",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "examples": {"@id": "cr:examples", "@type": "@json"},
} | {
    word: f"cr:{word}"
    for word in (
        "citeAs", "column", "equivalentProperty", "extract", "field", "fileObject",
        "fileProperty", "fileSet", "format", "includes", "isLiveDataset", "jsonPath", "key",
        "md5", "parentField", "path", "recordSet", "references", "regex", "repeated", "replace",
        "samplingRate", "separator", "source", "subField", "transform",
    )
}  # fmt: skip
_TYPES = {"string": "sc:Text", "double": "sc:Float", "int64": "sc:Integer", "bool": "sc:Boolean"}


def croissant(manifest: Manifest, table: bytes) -> str:
    """``croissant.json``: files, a record set of the scenes, and one of each canonical picture.

    Parameters
    ----------
    manifest : Manifest
        Of the data set.
    table : bytes
        Its ``manifest.parquet``.

    Returns
    -------
    str
        JSON-LD. The picture sets share the field ``scene`` with the record set ``scenes``.
    """
    facts = Facts.of(manifest)
    files = {name: manifest.scenes[0].canonical_file(name).path for name in CANONICAL}
    described = {
        "@context": _CONTEXT,
        "@type": "sc:Dataset",
        "conformsTo": list(CONFORMS),
        "name": facts.name,
        "version": facts.version,
        "description": facts.description or f"Dynamic multi-exposure fusion. {facts.exposures}",
        "datePublished": facts.created[:10],
        "distribution": [_table_file(table), *(_pictures(*each) for each in files.items())],
        "recordSet": [_scenes(), *(map(_role_records, CANONICAL))],
        **_responsible(facts),
    }
    stated = {"license": facts.licence, "citeAs": facts.citation}
    if facts.contact:
        described["creator"] = {"@type": "sc:Organization", "name": facts.contact}
    described |= {key: text for key, text in stated.items() if text}
    return strict_json.dumps(described, indent=2) + "\n"


def _table_file(table: bytes) -> dict[str, Any]:
    return {
        "@type": "cr:FileObject",
        "@id": "manifest.parquet",
        "name": "manifest.parquet",
        "contentUrl": "manifest.parquet",
        "encodingFormat": "application/x-parquet",
        "sha256": hashlib.sha256(table).hexdigest(),
    }


def _pictures(name: str, path: str) -> dict[str, Any]:
    file = PurePosixPath(path)
    return {
        "@type": "cr:FileSet",
        "@id": f"{name}-files",
        "name": f"{name}-files",
        "description": f"{file.name} of every scene",
        "encodingFormat": f"image/{file.suffix.removeprefix('.')}",
        "includes": f"*/*/{file.name}",
    }


def _scenes() -> dict[str, Any]:
    """The Parquet table; lists stay with the table."""
    from dmef_bench.building.parquet import column_types

    fields = [
        {
            "@type": "cr:Field",
            "@id": f"scenes/{column}",
            "name": f"scenes/{column}",
            "dataType": _TYPES[kind],
            "source": {
                "fileObject": {"@id": "manifest.parquet"},
                "extract": {"column": column},
            },
        }
        for column, kind in column_types().items()
        if kind in _TYPES
    ]
    return {
        "@type": "cr:RecordSet",
        "@id": "scenes",
        "name": "scenes",
        "description": "One record a scene: source, exposures, audit, paths and hashes.",
        "key": {"@id": "scenes/scene"},
        "field": fields,
    }


def _role_records(name: str) -> dict[str, Any]:
    files = {"fileSet": {"@id": f"{name}-files"}}
    scene = {
        "@type": "cr:Field",
        "@id": f"{name}/scene",
        "name": f"{name}/scene",
        "dataType": "sc:Text",
        "source": {
            **files,
            "extract": {"fileProperty": "fullpath"},
            "transform": {"regex": r"^.*?([^/\\]+)[/\\][^/\\]+$"},
        },
    }
    picture = {
        "@type": "cr:Field",
        "@id": f"{name}/picture",
        "name": f"{name}/picture",
        "dataType": "sc:ImageObject",
        "source": {**files, "extract": {"fileProperty": "content"}},
    }
    return {"@type": "cr:RecordSet", "@id": name, "name": name, "field": [scene, picture]}


def _responsible(facts: Facts) -> dict[str, str]:
    """The properties of responsible use (RAI) that a manifest can answer."""
    consents = ", ".join(f"{right.consent} ({right.videos} videos)" for right in facts.rights)
    return {
        "rai:dataCollection": f"Frames of {facts.videos} videos, chosen {facts.chosen}.",
        "rai:dataPreprocessingProtocol": facts.exposures,
        "rai:dataLimitations": (
            "Exposures are made from 8-bit video: the low one never carries highlight detail that "
            "the ground truth lacks. See README.md."
        ),
        "rai:personalSensitiveInformation": (
            f"Scenes may show people. Consent as recorded: {consents}. Pictures carry no place, "
            "maker or serial number."
        ),
    }
