from fpe_core.data.duplicates import same_images


def test_both_cases_of_a_shared_image_are_named() -> None:
    hashes = {"a": {"dwi": "1", "adc": "2"}, "b": {"dwi": "3"}, "c": {"flair": "2"}, "d": {}}
    assert same_images(hashes) == {"a": "FPE-236", "c": "FPE-236"}


def test_two_sequences_of_one_case_must_differ_except_two_names_of_one() -> None:
    assert same_images({"a": {"dwi": "1", "flair": "1"}}) == {"a": "FPE-236"}
    assert same_images({"a": {"b1000": "1", "dwi": "1", "adc": "2"}}) == {}
    assert same_images({"a": {"b1000": "1", "dwi": "1", "b0": "1"}}) == {"a": "FPE-236"}


def test_a_shared_dwi_counts_between_cases_whatever_it_is_called() -> None:
    assert set(same_images({"a": {"b1000": "1"}, "b": {"dwi": "1"}})) == {"a", "b"}


def test_different_images_are_no_problem() -> None:
    assert same_images({"a": {"dwi": "1"}, "b": {"dwi": "2"}}) == {}
    assert same_images({}) == {}
