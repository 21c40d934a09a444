"""What a federated round costs beyond the slowest site's own work: MNT-DL at full width, two sites, real processes.

Run:  .venv/bin/python benchmarks/round_overhead.py --out /tmp/round-overhead

Prints JSON: for each round the wall time at the server, the slowest site's own work, and the difference, in seconds;
and the mean difference, also as a share of the wall time. The first round, which loads the sites' data, is not in it.
"""

import argparse
import json
from pathlib import Path

from fpe_core.config.study import FederationPlan, ModelPlan, StudyPlan, TrainingPlan
from fpe_sim.deployment import deploy_scenario
from fpe_sim.scenario import Cohort, Scenario

ROUNDS = 5


def scenario() -> Scenario:
    """Two hospitals with few cases, so that the round is mostly exchange."""
    return Scenario(
        summary="Two hospitals, MNT-DL at full width.",
        cohort=Cohort(sites=2, cases_per_site=14),
        study=StudyPlan(
            name="round-overhead",
            task="fpe",
            seed=1,
            recipe="mnt-dl-mr-small",
            model=ModelPlan(base_width=64),
            training=TrainingPlan(batch_size=4),
            federation=FederationPlan(rounds=ROUNDS, grace_s=300, compare_with_local=False),
        ),
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    out = parser.parse_args().out
    results = deploy_scenario(scenario(), out, jobs=2)
    rounds = []
    for entry in results.rounds[:-1]:
        work_s = max(site.training.training_s for site in entry.sites.values() if site.training)
        rounds.append({"wall_s": entry.duration_s, "slowest_site_s": work_s, "beyond_s": entry.duration_s - work_s})
    steady = rounds[1:]
    beyond_s = sum(r["beyond_s"] for r in steady) / len(steady)
    share = sum(r["beyond_s"] for r in steady) / sum(r["wall_s"] for r in steady)
    print(json.dumps({"rounds": rounds, "mean_beyond_s": beyond_s, "share_of_wall": share}, indent=1))


if __name__ == "__main__":
    main()
