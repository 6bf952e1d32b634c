"""labelme, spaCy and Hugging Face's ``datasets`` load what we wrote, each with its own code and no network."""

from __future__ import annotations

import numpy as np
import pytest

from fastlabel_dagster import formats
from fastlabel_dagster.labels import raster

RING = [10, 10, 40, 10, 40, 40, 10, 40, 10, 10]
HOLE = [20, 20, 20, 30, 30, 30, 30, 20, 20, 20]
OTHER = [60, 60, 70, 60, 70, 70, 60, 70, 60, 60]
TEXTS = ["Kyoto has 京都駅 and 👩‍👩‍👧 people.", "Alice met Bob in Paris.", "nothing here"]


@pytest.mark.parametrize("turned_boxes", ["polygon", "oriented_rectangle"])
def test_labelme_opens_every_type(bench, pictures, tmp_path, asked, turned_boxes) -> None:
    shape = bench.shape
    keypoints = [
        {"key": "nose", "name": "nose", "value": [5, 6.5, 1]},
        {"key": "eye", "name": "eye", "value": [7, 8, 0]},
    ]
    attributes = [
        {"key": "crowded", "name": "crowded", "type": "switch", "value": True},
        {"key": "note", "name": "note", "type": "text", "value": 'x "y"'},
    ]
    task = bench.task(
        "sub/a.png",
        shape("bbox", [1.5, 2, 30, 40.25], attributes=attributes),
        shape("bbox", [20, 20, 60, 40], rotation=30),
        shape("polygon", [1, 2, 30, 4, 5, 60], "猫"),
        shape("segmentation", [[RING, HOLE]], "sky"),
        shape("segmentation", [[RING], [OTHER]], "sky"),
        shape("circle", [50, 40, 12.5]),
        shape("line", [1, 1, 9, 9, 12, 1]),
        shape("keypoint", [12.5, 30]),
        shape("pose_estimation", value="person", keypoints=keypoints),
        shape("classification", value="scene"),
    )
    content = bench.labels(task, bench.task("b.png"))
    place = tmp_path / "out"
    images = pictures(content, tmp_path / "pictures")
    formats.write(content, format="labelme", target=place, images=images, turned_boxes=turned_boxes)
    seen = asked(
        """
        import json, os, sys
        from pathlib import Path
        os.environ["QT_QPA_PLATFORM"] = "offscreen"
        from labelme import LabelFile
        from labelme.utils import img_data_to_arr, shape_to_mask
        found = {}
        for path in sorted(Path(sys.argv[1]).rglob("*.json")):
            file = LabelFile(str(path))
            shapes = []
            for shape in file.shapes:
                mask = shape["mask"]
                extent = None if mask is None else [list(mask.shape), int(mask.sum())]
                said = [shape[key] for key in ("label", "shape_type", "points", "group_id", "flags")]
                shapes.append([*said, extent])
            found[path.stem] = [shapes, file.flags, list(img_data_to_arr(file.image_data).shape)]
        print(json.dumps(found))
        """,
        place / "images",
    )
    assert seen["b"] == [[], {}, [80, 100, 3]]
    shapes, flags, size = seen["a"]
    assert size == [80, 100, 3] and flags == {"scene": True}
    turned = "polygon" if turned_boxes == "polygon" else "oriented_rectangle"
    assert [(label, kind, group) for label, kind, _, group, _, _ in shapes] == [
        ("dog", "rectangle", None),
        ("dog", turned, None),
        ("猫", "polygon", None),
        ("sky", "mask", None),
        ("sky", "polygon", 1),
        ("sky", "polygon", 1),
        ("dog", "circle", None),
        ("dog", "linestrip", None),
        ("dog", "point", None),
        *[(label, kind, 2) for label, kind, _, _, _, _ in shapes[9:]],
    ]
    assert shapes[0][2] == [[1.5, 2], [30, 40.25]] and shapes[0][4] == {"crowded": True}
    assert len(shapes[1][2]) == 4 and np.mean(shapes[1][2], axis=0) == pytest.approx([40, 30])
    assert shapes[3][5][1] == int(raster.regions_to_mask([[RING, HOLE]], 100, 80).sum())
    centre, edge = np.array(shapes[6][2])
    assert np.hypot(*(edge - centre)) == pytest.approx(12.5) and centre.tolist() == [50, 40]
    assert [points for _, kind, points, _, _, _ in shapes[9:] if kind == "point"] == [[[5, 6.5]], [[7, 8]]]


@pytest.fixture
def named(bench):
    """Three texts and what is named in them: (start, end, class)."""
    spans = [
        [(0, 5, "CITY"), (10, 13, "STATION"), (18, 23, "WHO")],
        [(0, 5, "WHO"), (10, 13, "WHO"), (17, 22, "CITY")],
        [],
    ]
    tasks = [
        {
            **bench.task(f"{number}.txt"),
            "text": text,
            "annotations": [
                bench.shape("ner", value=value, start=start, end=end, text=text[start:end])
                for start, end, value in of_text
            ],
        }
        for number, (text, of_text) in enumerate(zip(TEXTS, spans, strict=True))
    ]
    classes = [bench.klass(value, order, "ner") for order, value in enumerate(("CITY", "STATION", "WHO"), start=1)]
    return bench.labels(*tasks, classes=classes), spans


def test_spacy_finds_the_spans_in_json_lines(named, tmp_path, asked) -> None:
    content, spans = named
    formats.write(content, format="spacy", target=tmp_path / "out", split=None, strict=True)
    seen = asked(
        """
        import json, sys
        import spacy, srsly
        from spacy.tokens import DocBin
        nlp = spacy.blank("xx")
        bin = DocBin()
        for line in srsly.read_jsonl(sys.argv[1]):
            doc = nlp.make_doc(line["text"])
            # As its training wants them; a span that does not begin and end with tokens is None.
            found = [doc.char_span(one["start"], one["end"], label=one["label"], alignment_mode="expand")
                     for one in line["spans"]]
            doc.set_ents(found)
            bin.add(doc)
        docs = DocBin().from_bytes(bin.to_bytes()).get_docs(nlp.vocab)
        ents = lambda doc: [[one.start_char, one.end_char, one.label_, one.text] for one in doc.ents]
        print(json.dumps([[doc.text, ents(doc)] for doc in docs]))
        """,
        tmp_path / "out" / "train.jsonl",
    )
    assert [text for text, _ in seen] == TEXTS
    western = [(text, [(start, end, kind) for start, end, kind, _ in found]) for text, found in seen][1:]
    assert western == [(TEXTS[1], spans[1]), (TEXTS[2], [])]
    # A blank pipeline does not cut Japanese into words, so its tokens hold the spans.
    for (start, end, kind, _), (own_start, own_end, own) in zip(seen[0][1], spans[0], strict=True):
        assert start <= own_start and own_end <= end and kind == own


def test_spacy_converts_conll(named, tmp_path, asked) -> None:
    content, spans = named
    formats.write(content, format="conll", target=tmp_path / "out", split=None, strict=True)
    seen = asked(
        """
        import json, sys
        from pathlib import Path
        from spacy.training.converters import conll_ner_to_docs
        docs = conll_ner_to_docs(Path(sys.argv[1]).read_text(encoding="utf-8"), n_sents=0, no_print=True)
        print(json.dumps([[e.text, e.label_] for doc in docs for e in doc.ents]))
        """,
        tmp_path / "out" / "train.conll",
    )
    expected = [[text[start:end], kind] for text, own in zip(TEXTS, spans, strict=True) for start, end, kind in own]
    assert [["".join(text.split()), kind] for text, kind in seen] == expected


@pytest.mark.parametrize("format", ["hf_imagefolder", "hf_parquet"])
@pytest.mark.parametrize("category", ["index", "name"])
def test_datasets_loads_boxes_and_pictures(bench, pictures, tmp_path, asked, format, category) -> None:
    tasks = [
        bench.task(
            f"{number}.png",
            bench.shape("bbox", [1.5, 2, 30, 40.25], "犬"),
            *[bench.shape("polygon", [10, 10, 50, 10, 50, 60], "cat")] * (number % 2),
            tags=["val" if number == 3 else "train"],
        )
        for number in range(4)
    ]
    classes = [bench.klass("cat", 1), bench.klass("犬", 2)]
    content = bench.labels(*tasks, classes=classes)
    images = pictures(content, tmp_path / "pictures")
    place = tmp_path / "out"
    formats.write(content, format=format, target=place, images=images, split="tags", category=category)
    seen = asked(
        """
        import json, os, sys
        os.environ.update(HF_HUB_OFFLINE="1", HF_DATASETS_OFFLINE="1", HF_HOME=sys.argv[2])
        import datasets
        datasets.disable_progress_bars()
        found = {}
        for name, split in datasets.load_dataset(sys.argv[1]).items():
            feature = split.features["objects"]["category"].feature
            names = getattr(feature, "names", None)
            found[name] = [
                [row["image"].size, row["image"].convert("L").getpixel((0, 0)), row["objects"]["bbox"],
                 [names[one] if names else one for one in row["objects"]["category"]]]
                for row in split
            ]
        print(json.dumps(found, ensure_ascii=False))
        """,
        place,
        tmp_path / "cache",
    )
    box, outline = [1.5, 2, 28.5, 38.25], [10, 10, 40, 50]
    # `datasets` makes up the features of an image folder anew, so their numbers have no names; Parquet keeps them.
    cat, dog = (0, 1) if (format, category) == ("hf_imagefolder", "index") else ("cat", "犬")
    expected = [
        [[100, 80], number, [box, *[outline] * (number % 2)], [dog, *[cat] * (number % 2)]] for number in range(4)
    ]
    assert seen == {"train": expected[:3], "validation": expected[3:]}


def test_datasets_loads_splits_of_which_one_has_whole_numbers_only(bench, pictures, tmp_path, asked) -> None:
    """It makes up the types of a split's columns from its lines, and refuses splits of different types."""
    boxes = {"train": [1, 2, 30, 40], "val": [1.5, 2, 30, 40.25]}
    tasks = [bench.task(f"{tag}.png", bench.shape("bbox", box), tags=[tag]) for tag, box in boxes.items()]
    content = bench.labels(*tasks)
    place = tmp_path / "out"
    images = pictures(content, tmp_path / "pictures")
    formats.write(content, format="hf_imagefolder", target=place, images=images, split="tags")
    seen = asked(
        """
        import json, os, sys
        os.environ.update(HF_HUB_OFFLINE="1", HF_DATASETS_OFFLINE="1", HF_HOME=sys.argv[2])
        import datasets
        datasets.disable_progress_bars()
        loaded = datasets.load_dataset("imagefolder", data_dir=sys.argv[1])
        types = {name: [str(split.features["objects"][one].feature) for one in ("area", "bbox")]
                 for name, split in loaded.items()}
        print(json.dumps([types, {name: [row["objects"] for row in split][-1] for name, split in loaded.items()}]))
        """,
        place,
        tmp_path / "cache",
    )
    types, rows = seen
    assert types["train"] == types["validation"] == ["Value('float64')", "List(Value('float64'))"]
    assert rows["train"]["bbox"] == [[1, 2, 29, 38]]
    assert rows["validation"]["bbox"] == [[1.5, 2, 28.5, 38.25]]
    assert rows["validation"]["area"] == [28.5 * 38.25]


def test_a_split_without_objects_is_told(bench) -> None:
    shape = bench.shape("bbox", [1, 2, 30, 40])
    tasks = [bench.task("a.png", shape, tags=["train"]), bench.task("b.png", tags=["val"])]
    reason = "a split that says nothing of what the others say"
    for options, expected in (({"split": "tags"}, [("validation: objects",)]), ({}, [])):
        report = bench.write(*tasks, format="hf_imagefolder", **options)
        assert [note.examples for note in report.noticed if note.reason.startswith(reason)] == expected
