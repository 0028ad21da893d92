"""What a long job says of itself to whoever has started it."""

from specs_verl.progress import FILE_VARIABLE, Steps, read_state


def test_a_job_of_several_steps_reports_its_share(tmp_path, monkeypatch):
    monkeypatch.setenv(FILE_VARIABLE, str(tmp_path / "state"))
    with Steps() as steps:
        steps.show("references", 4, 4, share=0.25)  # the first step is done, the job is not
        assert read_state(tmp_path / "state") == ("references", 0.25, 1.0, "")
        steps.show("training", 8, 8, "loss 0.1")
    assert read_state(tmp_path / "state") == ("training", 8, 8, "loss 0.1")


def test_a_quiet_process_leaves_the_file_to_another_one(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv(FILE_VARIABLE, str(tmp_path / "state"))
    with Steps(quiet=True) as steps:
        steps.show("training", 8, 8)
    assert not (tmp_path / "state").exists() and capsys.readouterr().err == ""
