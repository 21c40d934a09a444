"""The process that starts a gate for each message: Flower's executor, tied to its SuperNode's life.

Flower's own watch over the parent takes a dead process that nobody has buried yet for a living one.
"""

from fpe_client.parent import die_with_parent


def main() -> None:
    """Run until the SuperNode ends."""
    die_with_parent()
    from fpe_client.flower import run_executor

    run_executor()


if __name__ == "__main__":
    main()
