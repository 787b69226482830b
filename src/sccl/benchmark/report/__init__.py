"""What do the runs of a study say? Tables and one page."""

from sccl.benchmark.report.command import main, write_report

__all__ = ["main", "write_report"]
