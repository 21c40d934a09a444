"""`fpe-client import`: other people's folders to a case table. Each kind is a function in a file of its own."""

import typer

from fpe_client.import_bids import bids, isles24
from fpe_client.import_dicom import dicom

importing = typer.Typer(
    help="Bring scans from elsewhere into the form that `preprocess` reads: images, cases.csv and a report.",
    rich_markup_mode=None,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)

importing.command()(dicom)
importing.command()(bids)
importing.command()(isles24)
