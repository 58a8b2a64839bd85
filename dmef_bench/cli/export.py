"""`dmef export`: a data set in the forms that other tools stream or upload."""

from __future__ import annotations

from pathlib import Path

import click

from dmef_bench.cli.words import FOLDER, MEMORY


@click.command()
@click.argument("root", type=FOLDER)
@click.option("-o", "--out", required=True, type=FOLDER, help="A new folder.")
@click.option("--to", required=True, type=click.Choice(["hf", "webdataset"]), help="Which form.")
@click.option(
    "--shard-size", type=MEMORY, default="1GB", show_default=True, help="Of a WebDataset tar file."
)
def export(root: Path, out: Path, to: str, shard_size: int) -> None:
    """Copy inputs and truth of ROOT into an image folder (hf) or tar files (webdataset).

    Exposures that no method may see stay behind.
    """
    from dmef_bench.building.export import export_dataset
    from dmef_bench.progress import Bar

    with Bar("export", "scene") as bar:
        files = export_dataset(root, out, to, shard_bytes=shard_size, progress=bar.update)
    for path in files:
        click.echo(path)
