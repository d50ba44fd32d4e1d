from __future__ import annotations

import synthesizeme


def test_doctor_tells_versions_models_data_and_cache(command, monkeypatch, tmp_path):
    monkeypatch.setenv("OPENAI_API_KEY", "secret-value")
    monkeypatch.delenv("ANTHROPIC_API_KEY", raising=False)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("SYNTHESIZEME_DATA_DIR", str(tmp_path / "data"))
    ran = command("doctor", "--json")
    assert ran.status == 0, ran.err
    assert ran.json["versions"]["synthesizeme"] == synthesizeme.__version__
    assert ran.json["backends"]["builtin"]["ready"] is True
    assert ran.json["backends"]["openai/NAME"]["ready"] is True
    assert ran.json["backends"]["anthropic/NAME"] == {"ready": False, "needs": "ANTHROPIC_API_KEY"}
    assert ran.json["encoders"]["found"]["static"] == {"ready": True, "needs": ""}
    assert ran.json["encoders"]["default"] in ran.json["encoders"]["found"]
    assert "LLaMA 2" in ran.json["encoders"]["licence"]
    assert ran.json["data"]["places"] == {str(tmp_path / "data"): False}
    assert ran.json["data"]["found"]["llmfao"] is None
    assert ran.json["data"]["hub"]["polis"] is None
    assert ran.json["data"]["hub"]["llmfao"]
    assert "datasets" not in ran.json["versions"]
    assert {"huggingface-hub", "pyarrow"} <= set(ran.json["versions"])
    assert ran.json["cache"] == {"folder": str(tmp_path / "cache"), "writable": True, "bytes": 0}
    assert ran.json["environment"]["HF_HUB_OFFLINE"] == "1"
    assert "secret-value" not in ran.out
    assert not (tmp_path / "cache").exists()
    human = command("doctor")
    assert "ANTHROPIC_API_KEY" in human.out
    assert "the default here" in human.out
    assert "it is not on the hub" in " ".join(human.out.split())


def test_doctor_finds_data(command, tmp_path):
    (tmp_path / "polis.jsonl.gz").write_bytes(b"")
    found = command("doctor", "--json", "--data-dir", tmp_path).json["data"]["found"]
    assert found["polis"] == str(tmp_path / "polis.jsonl.gz")
