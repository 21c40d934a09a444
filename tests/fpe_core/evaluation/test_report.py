import base64
import re
import xml.etree.ElementTree as ElementTree
from html.parser import HTMLParser
from pathlib import Path

import pytest

from fpe_core.config.study import FederationPlan
from fpe_core.evaluation.report import render_report, write_report
from fpe_core.evaluation.results import StudyResults

PNG = base64.b64decode("iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGNgAAAAAgABSK+kcQAAAABJRU5ErkJggg==")
VOID = {"meta", "img"}


class Page(HTMLParser):
    """What a reader gets: images, words outside the style sheet, every attribute, and tags left open."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.images: list[dict[str, str]] = []
        self.attributes: list[tuple[str, str]] = []
        self.tags: list[str] = []
        self.open: list[str] = []
        words: list[str] = []
        self._words = words
        self.feed(html)
        self.text = " ".join(" ".join(words).split())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(name, value or "") for name, value in attrs]
        if tag == "img":
            self.images.append({name: value or "" for name, value in attrs})
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(name, value or "") for name, value in attrs]

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] != "style":
            self._words.append(data)


def svg_of(image: dict[str, str]) -> ElementTree.Element:
    return ElementTree.fromstring(base64.b64decode(image["src"].removeprefix("data:image/svg+xml;base64,")))  # noqa: S314 - our own figure


def test_the_report_is_well_formed_and_needs_nothing_else(study: StudyResults, tmp_path: Path) -> None:
    (tmp_path / "qc.png").write_bytes(PNG)
    write_report(study, tmp_path / "report.html", pictures={"river-clinic": tmp_path / "qc.png"})
    html = (tmp_path / "report.html").read_text(encoding="utf-8")
    page = Page(html)
    assert page.open == []
    assert not {"script", "link", "iframe", "object"} & set(page.tags)
    assert all(value.startswith("data:") for name, value in page.attributes if name in {"src", "href", "srcset"})
    assert "url(" not in html
    assert "@import" not in html


def test_every_picture_has_words_and_every_figure_is_an_svg(study: StudyResults) -> None:
    images = Page(render_report(study)).images
    assert len(images) == 4
    for image in images:
        assert len(image["alt"]) > 30
        assert svg_of(image).tag == "{http://www.w3.org/2000/svg}svg"
    assert "north-hospital 0.8" in images[0]["alt"]


def test_the_headline_sets_pooled_federated_and_alone_side_by_side(study: StudyResults) -> None:
    assert study.pooled_test
    text = Page(render_report(study)).text
    assert f"All held-out cases together {study.pooled_test.auc:.3f} AUC, 95" in text
    assert f"{study.pooled_test.auc_low:.3f} to {study.pooled_test.auc_high:.3f}, from 51 cases" in text
    assert f"Federated, mean of the sites {study.mean_site_test_auc:.3f}" in text
    assert f"Alone, mean of the sites {study.mean_alone_test_auc:.3f}" in text


def test_phantoms_are_named_at_the_top_and_patients_are_not(study: StudyResults, troubled_study: StudyResults) -> None:
    text = Page(render_report(study)).text
    assert text.index("Phantom data") < text.index("Predicts first-pass effect")
    assert "do better than 0.862" in text
    assert "hantom" not in Page(render_report(troubled_study)).text.replace("phantom-demo", "")


def test_the_table_gives_both_aucs_and_their_difference(study: StudyResults) -> None:
    first = study.sites[0]
    assert first.test
    assert first.alone_test
    assert first.test.auc is not None
    assert first.alone_test.auc is not None
    row = f"north-hospital 58 19 19 8 {first.test.auc:.3f} {first.alone_test.auc:.3f}"
    assert f"{row} +{first.test.auc - first.alone_test.auc:.3f}" in Page(render_report(study)).text


def test_what_is_missing_is_said_with_its_reason(troubled_study: StudyResults) -> None:
    text = Page(render_report(troubled_study)).text
    assert "All held-out cases together not available" in text
    assert "9 withheld withheld: too few cases of a class withheld: too few cases of a class" in text
    assert "no answer: A site lost its connection and did not come back in time. FPE-602" in text
    assert "Not drawn, because they returned no scores: river-clinic, st-anna" in text
    assert "the 1 site that returned both numbers" in text


def test_failures_are_told_in_order_with_code_and_sentence(troubled_study: StudyResults) -> None:
    text = Page(render_report(troubled_study)).text
    before = text.index("Before the study hill-hospital The site has too few usable cases for this study. FPE-202")
    during = text.index("Round 4 river-clinic The site's trainer was overdue and has been stopped. FPE-610")
    after = text.index("At the held-out test river-clinic A site lost its connection")
    assert before < during < after


def test_quarantined_cases_are_counted_with_their_reason(study: StudyResults) -> None:
    text = Page(render_report(study)).text
    assert "river-clinic : 2 cases. An image file is truncated or not an image. FPE-212" in text
    assert "1 case. Brain extraction gave a mask of implausible volume. FPE-220" in text


def test_a_study_without_trouble_says_so(study: StudyResults) -> None:
    calm = study.rounds[3].model_copy(update={"sites": study.rounds[2].sites})
    page = Page(render_report(study.model_copy(update={"rounds": (*study.rounds[:3], calm, *study.rounds[4:])})))
    assert "Nothing went wrong" in page.text


def test_no_scores_at_all_leave_a_sentence_instead_of_a_curve(troubled_study: StudyResults) -> None:
    silent = tuple(site.model_copy(update={"test": None}) for site in troubled_study.sites)
    results = troubled_study.model_copy(
        update={"sites": silent, "mean_site_test_auc": None, "mean_alone_test_auc": None}
    )
    page = Page(render_report(results))
    assert "there is no ROC curve to draw" in page.text
    assert len(page.images) == 3


def test_without_any_loss_the_report_says_how_the_model_was_chosen(study: StudyResults) -> None:
    assert "was chosen, by the validation cases only" in Page(render_report(study)).text
    rounds = []
    for entry in study.rounds:
        sites = {}
        for name, site in entry.sites.items():
            validation = site.validation and site.validation.model_copy(update={"loss": None})
            training = site.training and site.training.model_copy(update={"epoch_losses": ()})
            sites[name] = site.model_copy(update={"validation": validation, "training": training})
        rounds.append(entry.model_copy(update={"sites": sites, "pooled_validation_loss": None}))
    page = Page(render_report(study.model_copy(update={"rounds": tuple(rounds), "best_round": 8})))
    assert (
        "No site returned a validation loss, so the model was not chosen: it is the one after the last round."
        in page.text
    )
    assert "was chosen" not in page.text
    assert page.text.count("Nothing to draw: no site returned one.") == 2
    assert len(page.images) == 4
    assert "from" in page.images[1]["alt"]


def test_a_comparison_that_was_not_asked_for_is_no_failure(study: StudyResults) -> None:
    federation = FederationPlan(rounds=8, compare_with_local=False)
    results = study.model_copy(
        update={
            "plan": study.plan.model_copy(update={"federation": federation}),
            "sites": tuple(site.model_copy(update={"alone_test": None}) for site in study.sites),
            "mean_alone_test_auc": None,
            "mean_site_test_auc": None,
        }
    )
    text = Page(render_report(results)).text
    assert "The study did not ask for this comparison." in text
    assert text.count("not asked for") == 3


def test_texts_are_escaped(study: StudyResults, tmp_path: Path) -> None:
    (tmp_path / "qc.png").write_bytes(PNG)
    sly = '"><script>alert(1)</script>'
    results = study.model_copy(update={"software": {sly: sly}})
    page = Page(render_report(results, pictures={sly: tmp_path / "qc.png"}))
    assert "script" not in page.tags
    assert sly in page.images[-1]["alt"]
    assert page.text.count(sly) == 3


def test_pictures_are_embedded_as_they_are(study: StudyResults, tmp_path: Path) -> None:
    (tmp_path / "qc.png").write_bytes(PNG)
    images = Page(render_report(study, pictures={"river-clinic": tmp_path / "qc.png"})).images
    assert images[-1]["src"] == f"data:image/png;base64,{base64.b64encode(PNG).decode()}"
    assert "river-clinic" in images[-1]["alt"]


def test_a_missing_picture_is_an_error(study: StudyResults, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        write_report(study, tmp_path / "report.html", pictures={"river-clinic": tmp_path / "absent.png"})
    assert not (tmp_path / "report.html").exists()


def test_the_plan_and_the_versions_are_on_record(study: StudyResults) -> None:
    text = Page(render_report(study)).text
    assert "training.learning_rate 0.0005" in text
    assert "model.sequences dwi, flair, adc" in text
    assert "torch 2.13.0" in text
    assert study.study_fingerprint in text


def test_the_same_results_give_the_same_bytes(study: StudyResults) -> None:
    assert render_report(study) == render_report(study)


def test_many_sites_have_looks_of_their_own(study: StudyResults) -> None:
    names = [f"site-{i}" for i in range(20)]
    one, entry = study.sites[0], study.rounds[0].sites["north-hospital"]
    closing = entry.model_copy(update={"training": None})
    sites = tuple(one.model_copy(update={"site": name}) for name in names)
    rounds = tuple(
        r.model_copy(update={"sites": dict.fromkeys(names, closing if r is study.rounds[-1] else entry)})
        for r in study.rounds
    )
    html = render_report(study.model_copy(update={"sites": sites, "rounds": rounds}))
    looks = re.findall(r'stroke="(#\w+)" stroke-width="[\d.]+" stroke-dasharray="([^"]+)"', html)
    assert len(looks) == len(set(looks)) == 21
