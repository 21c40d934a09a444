"""Runs a protocol in its folder, or goes on where it stopped, and leaves what people and programs read."""

from fpe_sim.csv_tables import write_tables
from fpe_sim.kinds import kind_named
from fpe_sim.protocol import ProtocolBase
from fpe_sim.protocol_report import write_protocol_report
from fpe_sim.protocol_results import ProtocolResults, load_protocol_results, save_protocol_results
from fpe_sim.run_context import RunContext
from fpe_sim.run_folder import ProtocolFolder
from fpe_sim.run_record import Request, RunRecord, load_record, recording, software_versions

PHANTOMS = "Phantoms: these numbers show that the chain works. They say nothing about patients."
_MOST_FINDINGS = 6


def run_protocol(protocol: ProtocolBase, context: RunContext, asked: Request) -> ProtocolResults:
    """Run `protocol`; what is in the folder already is kept, and a finished run is not run again.

    Args:
        protocol: with all its settings.
        context: folder and machine.
        asked: for the report.

    Raises:
        ConfigValueInvalid: the folder holds another run.
        FpeError: the run failed; what was finished is kept.
    """
    folder = ProtocolFolder(context.folder)
    with folder.held():
        folder.claim(protocol)
        if folder.finished() is None:
            with recording(folder.record, asked=asked, context=context):
                found = kind_named(protocol.kind).run(protocol, context)
            complete = found.model_copy(update={"software": {**software_versions(), **found.software}})
            save_protocol_results(complete, folder.results)
        return _published(folder)


def publish_again(folder: ProtocolFolder) -> ProtocolResults | None:
    """Write tables and report of a finished run anew; None where it is not finished.

    Imports nothing that trains, so it takes no time.
    """
    if not folder.results.is_file():
        return None
    with folder.held():
        return _published(folder) if folder.finished() else None


def _published(folder: ProtocolFolder) -> ProtocolResults:
    results = load_protocol_results(folder.results)
    write_tables(results, folder.tables)
    record = load_record(folder.record) or RunRecord(command=f"fpe-sim run {results.protocol} --out DIR")
    write_protocol_report(results, folder.content(), record, figures=folder.figures, path=folder.report)
    return results


def protocol_headline(results: ProtocolResults, folder: ProtocolFolder) -> str:
    """The last lines a person sees: where the report is, and the first findings."""
    findings = results.findings[:_MOST_FINDINGS]
    lines = [f"report  {folder.report.resolve()}", *(f"· {finding}" for finding in findings)]
    if len(results.findings) > len(findings):
        lines.append(f"  {len(results.findings) - len(findings)} more in the report")
    if results.synthetic:
        lines.append(PHANTOMS)
    return "\n".join(lines)
