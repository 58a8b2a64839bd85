"""The scenes of a board as Parquet: types kept, infinities too, for those who compute on."""

from __future__ import annotations

from io import BytesIO

import pandas as pd


def parquet_bytes(frame: pd.DataFrame) -> bytes:
    """A frame as a Parquet file.

    Parameters
    ----------
    frame : DataFrame
        From `dmef_bench.leaderboard.records.scenes_frame`.

    Returns
    -------
    bytes
        Zstandard-compressed, the same for the same frame; scores are float64, NaN where there is
        none and infinity as such, counts are integers.

    Examples
    --------
    >>> import io
    >>> scores = pd.DataFrame({"scene": ["a", "b"], "psnr": [31.5, float("inf")], "sse": [7, None]})
    >>> scores = scores.astype({"sse": "Int64"})
    >>> pd.read_parquet(io.BytesIO(parquet_bytes(scores)))["psnr"].tolist()
    [31.5, inf]
    """
    file = BytesIO()
    # What the frame says of itself beside its columns holds types that Parquet has no name for.
    plain = pd.DataFrame(frame.to_dict("series"))
    plain.to_parquet(file, engine="pyarrow", compression="zstd", index=False)
    return file.getvalue()
