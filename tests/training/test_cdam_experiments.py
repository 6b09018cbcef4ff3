"""The experiments of CDAM and of the synapses: their claims, results, plots, and what they say of bad input."""

import argparse
import json

import networkx as nx
import numpy as np
import pytest
from picture_helpers import capture_figures, check_picture, legend, matrices, titles

from training.__main__ import main
from training.cdam import automaton, communities, miyashita, sequence, simulation
from training.cdam.commands import add_commands
from training.cdam.frames import moving_scene, read_frames
from training.memories import synapses


def prepare(*arguments):
    """What a command line prepares: a function that runs."""
    parser = argparse.ArgumentParser()
    commands = parser.add_subparsers()
    add_commands(commands)
    synapses.add_command(commands)
    options = parser.parse_args([str(argument) for argument in arguments])
    return options.prepare(options)


def results(directory, *arguments):
    """The results of a command line, as JSON gives them back."""
    prepare(*arguments, "--out", directory)()
    pictures = list(directory.glob("*.png"))
    assert pictures
    for picture in pictures:
        check_picture(picture)
    return json.loads((directory / "results.json").read_text())


@pytest.fixture
def figures(monkeypatch):
    """The figures that are saved, by the names of their files."""
    return capture_figures(monkeypatch)


def test_modes_have_their_reach_and_their_means(tmp_path, figures):
    modes = results(tmp_path / "x", "cdam", "modes", "--graphs", "cycle30", "--neurons", 600)["cycle30"]
    auto, narrow, wide, quiet = modes.values()
    assert auto["correlation_with_trigger"] > 0.95
    assert auto["recalled"] == pytest.approx(1, abs=0.2)
    assert narrow["recalled"] == pytest.approx(3, abs=0.5)
    assert wide["recalled"] > narrow["recalled"] + 1
    assert wide["distance"] > narrow["distance"] > auto["distance"]
    assert quiet["recalled"] < 0.5
    # a + h = 1 in the first three: (a + h - 1) / 2 for random memories.
    assert max(abs(mode["mean"]) for mode in (auto, narrow, wide)) < 0.01
    assert quiet["mean"] == pytest.approx(-1.25, abs=0.1)
    figure = figures["modes-cycle30.png"]
    assert [title.split("\n")[0] for title in titles(figure)] == list(modes)
    shown = matrices(figure)
    assert [matrix.shape for matrix in shown] == [(30, 30)] * len(shown)
    # The last row of heat maps is that of the last step; below it are the graphs, then the mean activities.
    for matrix, mode in zip(shown[-4:], modes.values()):
        assert np.diag(matrix).mean() == pytest.approx(mode["correlation_with_trigger"], abs=1e-6)
    means = [axes for axes in figure.axes if axes.get_xlabel() == "step"]
    ends = [axes.lines[-1].get_ydata()[-1] for axes in means]
    assert ends == pytest.approx([mode["mean"] for mode in modes.values()], abs=1e-6)


def test_the_clubs_split_is_found(tmp_path, figures):
    options = ("--draws", 2, "--a", 1, -0.5, "--h", 0, 1.5)
    alone, wide = results(tmp_path / "x", "cdam", "communities", *options)["strengths"]
    # All but one or two of the 34 members; without hetero-association nothing is known of the graph.
    assert min(wide["rand"]) > 0.75
    assert max(wide["misplaced"]) <= 2
    assert max(alone["rand"]) < 0.3
    assert alone["attractors"] == [34, 34]
    assert max(wide["attractors"]) < 10
    assert sorted(int(node) for side in wide["split"] for node in side) == list(range(34))
    figure = figures["communities.png"]
    assert titles(figure) == [
        f"a = {row['a']}, h = {row['h']}\nadjusted Rand index {row['rand'][0]:.2f}" for row in (alone, wide)
    ]
    for matrix in matrices(figure):
        np.testing.assert_allclose(np.diag(matrix), np.ones(34), atol=1e-5)


def test_communities_of_a_users_graph(tmp_path):
    graph = nx.barbell_graph(6, 0)
    nx.set_node_attributes(graph, {node: {"side": "left" if node < 6 else "right"} for node in graph})
    nx.write_graphml(graph, tmp_path / "graph.graphml")
    options = ("--graph", tmp_path / "graph.graphml", "--draws", 1, "--neurons", 300, "--a", -0.5, "--h", 1.5)
    (row,) = results(tmp_path / "x", "cdam", "communities", *options, "--groups", "side")["strengths"]
    assert row["rand"] == [1.0]
    (row,) = results(tmp_path / "y", "cdam", "communities", *options)["strengths"]
    assert row["rand"] == []


def test_groups_and_attractors_of_a_matrix():
    attractors = np.kron(np.array([[1.0, -0.4], [-0.4, 1.0]]), np.ones((2, 2)))
    side = communities.split(attractors)
    assert side[0] == side[1] != side[2] == side[3]
    assert communities.count_attractors(attractors) == 2


def test_range_grows_and_its_variance_is_the_papers(tmp_path, figures):
    result = results(tmp_path / "x", "cdam", "range", "--draws", 1)
    auto, narrow, wide, wider = np.array(result["attractors"]["mean"])
    np.testing.assert_allclose([auto[0], narrow[0], wide[0], wider[0]], 1, atol=1e-4)
    assert narrow[1] > auto[1] + 0.3
    assert wide[3] > narrow[3] + 0.1
    assert wider[6] > wide[6] + 0.05
    # The paper has F = 5.41, p = 0.001, and other draws from 4.4 to 7.4.
    assert result["attractors"]["degrees_of_freedom"] == [3, 4 * 12 * 30 - 4]
    assert 4 < result["attractors"]["f"][0] < 8
    assert result["attractors"]["p"][0] < 0.005 < 0.5 < result["memories"]["p"][0]
    left, right = figures["range.png"].axes
    for axes, kind in ((left, "attractors"), (right, "memories")):
        np.testing.assert_allclose([line.get_ydata() for line in axes.lines], result[kind]["mean"])
        assert axes.get_title().endswith(f"F = {result[kind]['f'][0]:.2f}")
    assert len(legend(left)) == 4


def test_distances_are_those_of_the_cycle():
    graph = nx.cycle_graph(7)
    lengths = np.array(nx.floyd_warshall_numpy(graph))
    rows = simulation.by_distance(lengths, 4)
    np.testing.assert_array_equal(rows, np.repeat(np.arange(4)[:, None], 7, axis=1))


def test_correlations_are_pearsons():
    rng = np.random.default_rng(0)
    x, y = rng.random((2, 3, 50)), rng.random((2, 4, 50))
    expected = np.stack([np.corrcoef(x[i], y[i])[:3, 3:] for i in range(2)])
    np.testing.assert_allclose(simulation.correlations(x, y), expected, atol=1e-12)
    assert simulation.correlations(np.ones((1, 5)), rng.random((1, 5))) == 0


def test_protocols_of_miyashita(tmp_path, figures):
    result = results(tmp_path / "x", "cdam", "miyashita", "--steps", 4, "--draws", 1, "--a", 0.5)
    rows = {row["protocol"]: row for row in result["protocols"]}
    # The first steps fit as the paper says it fits, whatever is drawn; memories in place of states do not.
    assert rows["two states after 3 steps"]["r2"] > 0.995
    assert rows["attractor and memory, 4 steps"]["r2"] < 0.99
    assert result["strengths"] == [0.5, miyashita.PAPER_A]
    for row in rows.values():
        assert set(row["r2_by_a"]) == {"0.5", "-2.45"}
        assert 0 <= row["r2"] <= row["best_r2"] + 1e-6 <= 1.001
    figure = figures["miyashita.png"]
    left = figure.axes[0]
    np.testing.assert_array_equal(left.lines[0].get_ydata(), miyashita.MEAN)
    assert legend(left)[0] == "Miyashita (1988)"
    assert f"two states after 3 steps: R² = {rows['two states after 3 steps']['r2']:.3f}" in legend(left)
    (fits,) = matrices(figure)
    np.testing.assert_allclose(fits, [list(row["r2_by_a"].values()) for row in rows.values()])


def test_fit_and_the_neurons_own_correlations():
    assert miyashita.fit(0.3 * miyashita.MEAN - 0.2) == pytest.approx(1)
    tilted = miyashita.MEAN * [1, 1, 1, 1, 1, 1, 2]
    assert miyashita.fit(tilted) == pytest.approx(np.corrcoef(tilted, miyashita.MEAN)[0, 1] ** 2)
    # One neuron that follows a wave around the cycle: its correlation at distance d is the wave's.
    wave = np.cos(2 * np.pi * np.arange(14) / 14)[:, None]
    np.testing.assert_allclose(miyashita.over_triggers(wave), np.cos(2 * np.pi * np.arange(7) / 14), atol=1e-12)


def test_anti_hebbian_recall_is_complete_where_plain_recall_stalls(tmp_path, figures):
    options = ("--a", 0, 0, -2, "--h", 1, 3, 3)
    result = results(tmp_path / "x", "cdam", "sequence", *options)
    # Frames are much alike, as those of films are.
    assert result["correlation_of_neighbours"] > 0.85
    lagging, stuck, anti_hebbian = result["strengths"]
    assert anti_hebbian["complete"]
    assert anti_hebbian["in_order"] == 50
    assert anti_hebbian["skipped"] == 0
    assert max(lagging["in_order"], stuck["in_order"]) < 10
    assert max(lagging["recalled"], stuck["recalled"]) < 40
    assert min(lagging["longest_stay"], stuck["longest_stay"]) > 2 * anti_hebbian["longest_stay"]
    figure = figures["sequence.png"]
    assert titles(figure)[-1] == "a = -2.0, h = 3.0\n50 of 50 in order"
    *_, recalled = matrices(figure)
    # From step to step the frame that is recalled is the same or the next one.
    assert set(np.diff(recalled.argmax(axis=1))) <= {0, 1, -49}


@pytest.mark.parametrize(
    ("order", "in_order", "recalled", "skipped", "stay"),
    [
        ([0, 1, 2, 3, 0, 1], 4, 4, 0, 1),
        ([0, 0, 1, 1, 2, 2, 3, 3, 3, 3], 4, 4, 0, 4),  # it may stay at the end
        ([0, 0, 0, 1, 2, 3], 0, 4, 0, 3),
        ([0, 2, 3], 1, 3, 1, 1),
        ([0, 1, 0, 1, 2, 3], 2, 4, 0, 1),
        ([3, 0, 1, 2], 0, 1, 3, 1),
    ],
)
def test_scores_of_sequences(order, in_order, recalled, skipped, stay):
    assert sequence.score(np.eye(4)[order], longest_stay=2) == {
        "in_order": in_order,
        "complete": in_order == 4,
        "recalled": recalled,
        "skipped": skipped,
        "longest_stay": stay,
    }


def write_frames(folder, frames):
    import tensorflow as tf

    folder.mkdir()
    for number, frame in enumerate(frames):
        image = tf.io.encode_png(np.round(frame * 255).astype("uint8"))
        (folder / f"{number:03}.png").write_bytes(image.numpy())


def test_a_users_frames_are_read_in_order(tmp_path):
    frames = moving_scene(6, height=20, width=24)
    write_frames(tmp_path / "frames", frames)
    np.testing.assert_allclose(read_frames(tmp_path / "frames", 3, every=2), frames[[0, 2, 4]], atol=0.002)
    options = ("--frames", tmp_path / "frames", "--count", 6, "--neurons", 300, "--steps", 20, "--a", -2, "--h", 3)
    result = results(tmp_path / "x", "cdam", "sequence", *options)
    assert result["frames"] == 6


def test_gifs_are_read(tmp_path):
    image = pytest.importorskip("PIL.Image")
    pages = [image.new("RGB", (8, 6), color) for color in ("black", "white", "black")]
    pages[0].save(tmp_path / "film.gif", save_all=True, append_images=pages[1:])
    frames = read_frames(tmp_path / "film.gif", 10)
    assert frames.shape == (3, 6, 8, 3)
    np.testing.assert_allclose(frames.mean((1, 2, 3)), [0, 1, 0], atol=0.01)


def test_videos_are_read(tmp_path):
    cv2 = pytest.importorskip("cv2")
    path = tmp_path / "film.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"MJPG"), 10, (32, 24))
    for number in range(5):
        # Blue first, as OpenCV has it.
        writer.write(np.full((24, 32, 3), (0, 0, 50 * number), "uint8"))
    writer.release()
    frames = read_frames(path, 2, every=2)
    assert frames.shape == (2, 24, 32, 3)
    np.testing.assert_allclose(frames[1].mean((0, 1)), [100 / 255, 0, 0], atol=0.03)


def test_every_question_to_the_family_is_answered(tmp_path, capsys, figures):
    result = results(tmp_path / "x", "cdam", "automaton", "--ask", "Who is Bart's father's wife?")
    assert result["right"] == result["questions"] == 32
    assert result["known"] == result["known_right"] == 12
    assert result["answers"]["Marge"]["husband"] == "Homer"
    assert result["answers"]["Homer"]["brother"] == "Homer"
    assert result["answer"] == "Marge"
    assert "Bart –father→ Homer –wife→ Marge" in capsys.readouterr().out
    table = figures["automaton.png"].axes[1]
    assert table.get_title() == "answers: 32 of 32 right"
    states, labels = (
        [tick.get_text() for tick in ticks] for ticks in (table.get_yticklabels(), table.get_xticklabels())
    )
    answers = {
        (states[round(t.get_position()[1])], labels[round(t.get_position()[0])]): t.get_text() for t in table.texts
    }
    assert answers["Marge", "husband"] == "Homer"
    assert answers["Homer", "brother"] == "stays"
    assert len(answers) == 32


def test_questions_at_a_prompt(tmp_path, monkeypatch, capsys):
    lines = iter(["Marge, husband?", "brother", "who", "the mother of lisa", ""])
    monkeypatch.setattr("builtins.input", lambda prompt: next(lines))
    automaton.converse(automaton.check(automaton.AutomatonOptions())[0])
    _, first, second, third, fourth = capsys.readouterr().out.splitlines()
    assert first == "Marge –husband→ Homer"
    assert second == "Homer –brother→ Homer (stays)"
    assert "names no label" in third
    assert fourth == "Lisa –mother→ Marge"


def test_an_automaton_and_images_of_the_user(tmp_path):
    (tmp_path / "door.csv").write_text("# a door\nopen door,push,shut door\nshut door,pull,open door\n")
    frames = moving_scene(2, height=10, width=12)
    write_frames(tmp_path / "images", frames)
    (tmp_path / "images/000.png").rename(tmp_path / "images/open door.png")
    (tmp_path / "images/001.png").rename(tmp_path / "images/shut door.png")
    options = ("--graph", tmp_path / "door.csv", "--images", tmp_path / "images", "--ask", "Push the open door")
    with pytest.raises(ValueError, match="names no label"):
        prepare("cdam", "automaton", *options[:-1], "the open door", "--out", tmp_path / "x")
    result = results(tmp_path / "x", "cdam", "automaton", *options)
    assert result["right"] == 4
    assert result["answer"] == "shut door"
    graph = nx.DiGraph([("a", "b", {"label": "next"}), ("b", "a", {"label": "back"})])
    nx.write_graphml(graph, tmp_path / "ab.graphml")
    # Another question needs no other directory, but another automaton does.
    with pytest.raises(ValueError, match="another run"):
        prepare("cdam", "automaton", "--graph", tmp_path / "ab.graphml", "--out", tmp_path / "x")
    prepare("cdam", "automaton", *options[:-2], "--out", tmp_path / "x")
    assert results(tmp_path / "y", "cdam", "automaton", "--graph", tmp_path / "ab.graphml")["right"] == 4


@pytest.mark.parametrize(
    "question", ["Bart's sister's father", "the father of the sister of BART", "bart sister father"]
)
def test_questions_are_read_from_either_side(question):
    assert automaton.parse_question(question, ["Bart", "Lisa"], ["father", "sister"]) == ("Bart", ["sister", "father"])


def test_autoassociation_by_text_and_by_code(tmp_path, monkeypatch, figures):
    from training.datasets.images.loading import Images

    # Images that share no pixel: plain retrieval is sure of them, and each is as far from each.
    pixels = np.kron(np.eye(12, dtype="float32"), np.ones((1, 40), "float32")).reshape(12, 20, 24)
    monkeypatch.setattr("training.datasets.images.load", lambda *_: Images(pixels, np.zeros(12, "int32"), 1))
    options = ("--data", "mine", "--sizes", 4, 12, "--trials", 2, "--a", 1, 0.1, "--h", 0, 0.9)
    result = results(tmp_path / "x", "cdam", "autoassociation", *options)
    text, code = (np.array(result["readings"][name]["mean"]) for name in ("text", "code"))
    assert text.shape == (2, 2)
    np.testing.assert_array_equal(text[:, 0], 1)
    # With a small a and links the state goes to the neighbour. The code's question is answered by a trace of the
    # trigger all the same.
    assert (text[:, 1] < 0.7).all()
    assert (code[:, 1] > 0.8).all()
    left, right = figures["autoassociation.png"].axes
    for axes, right_share in ((left, text), (right, code)):
        np.testing.assert_allclose([bars[0].get_ydata() for bars in axes.containers], 100 * right_share.T)
    assert legend(right) == ["a = 1.0, h = 0.0", "a = 0.1, h = 0.9"]
    with pytest.raises(ValueError, match="at most 12"):
        prepare("cdam", "autoassociation", "--data", "mine", "--sizes", 13, "--out", tmp_path / "y")


def test_synapses_follow_the_closed_forms(tmp_path, figures):
    result = results(tmp_path / "x", "synapses", "--tau", 50, 200, "--steps", 400)
    fast, slow = result["time_scales"]
    assert (fast["steps"], slow["steps"]) == (400, 1600)
    # Eq. 40 takes norms as equal; Eq. 34 does not, and holds the better the slower the memories are.
    assert max(fast["from_eq_40"], slow["from_eq_40"]) < 0.01
    assert slow["from_eq_34"] < 0.4 * fast["from_eq_34"]
    assert slow["from_hebbian_limit"] == pytest.approx(slow["expected_from_hebbian_limit"], rel=0.02)
    assert result["hebbian_limit"]["distance"] < 1e-3
    left, right = figures["synapses.png"].axes
    assert left.get_title() == "τ = 50"
    # What was simulated lies on the curves of Eq. 40, the dashed ones.
    simulated, theory = ([line.get_ydata() for line in left.lines[start::2]] for start in (0, 1))
    assert np.abs(np.subtract(simulated, theory)).max() == pytest.approx(fast["from_eq_40"], rel=1e-3)
    assert legend(right) == ["τ = 50", "τ = 200"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["cdam", "modes", "--beta", "0"], "--beta must be a finite number above 0"),
        (["cdam", "modes", "--graphs", "petersen"], "cycle30"),
        (["cdam", "modes", "--neurons", "1"], "--neurons must be an integer of at least 2"),
        (["cdam", "modes", "--seed", "-1"], "--seed"),
        (["cdam", "modes", "--noise", "nan"], "--noise"),
        (["cdam", "communities", "--a", "1", "--h", "0", "1"], "as many values"),
        (["cdam", "communities", "--a", "nan", "--h", "0"], "finite"),
        (["cdam", "communities", "--graph", "nowhere.gml"], "can't be read"),
        (["cdam", "range", "--distances", "30"], "at most 16"),
        (["cdam", "range", "--a", "1", "--h", "0"], "at least two"),
        (["cdam", "miyashita", "--memories", "6"], "--memories must be an integer of at least 7"),
        (["cdam", "sequence", "--frames", "nowhere"], "no video or folder"),
        (["cdam", "sequence", "--neurons", "99999"], "at most 14400"),
        (["cdam", "automaton", "--graph", "nowhere.csv"], "can't be read"),
        (["cdam", "automaton", "--images", "nowhere"], "no image 'Homer.png'"),
        (["cdam", "automaton", "--ask", "Who is Maggie?"], "names no label"),
        (["cdam", "automaton", "--ask", "my brother"], "names no state"),
        (["cdam", "automaton", "--ask", "Bart brother Lisa"], "one state"),
        (["synapses", "--order", "sorted"], "one of turn, random"),
        (["synapses", "--memories", "60"], "orthogonal"),
        (["synapses", "--tau", "inf"], "--tau"),
    ],
)
def test_bad_input_is_named_before_anything_is_written(arguments, message, tmp_path):
    with pytest.raises(ValueError, match=message):
        prepare(*arguments, "--out", tmp_path / "x")
    assert not (tmp_path / "x").exists()


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("t.csv", "a,b\n", "Line 1"),
        ("t.txt", "a to b\n\nb to b c\n", "Line 3"),
        ("t.json", "{}", "no graph"),
        ("t.graphml", "<graphml", "no graph"),
        ("t.json", json.dumps(nx.node_link_data(nx.DiGraph([("a", "b")]), edges="edges")), "no attribute 'label'"),
        ("t.json", json.dumps(nx.node_link_data(nx.path_graph(2), edges="edges")), "direction"),
        ("t.csv", "a,x,b\na,x,c\n", "two transitions"),
        ("t.csv", "", "at least one transition"),
    ],
)
def test_files_that_are_no_automata(name, text, message, tmp_path):
    (tmp_path / name).write_text(text)
    with pytest.raises(ValueError, match=message):
        prepare("cdam", "automaton", "--graph", tmp_path / name, "--out", tmp_path / "x")


def test_frames_that_are_no_video(tmp_path, monkeypatch):
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match="no images"):
        read_frames(tmp_path / "empty", 3)
    (tmp_path / "empty/a.png").write_text("not an image")
    with pytest.raises(ValueError, match="can't be read as an image"):
        read_frames(tmp_path / "empty", 3)
    (tmp_path / "film.mp4").write_text("not a film")
    monkeypatch.setitem(__import__("sys").modules, "cv2", None)
    with pytest.raises(ValueError, match="ffmpeg"):
        read_frames(tmp_path / "film.mp4", 3)
    write_frames(tmp_path / "frames", [np.zeros((4, 4, 3)), np.zeros((4, 5, 3))])
    with pytest.raises(ValueError, match="of one size"):
        read_frames(tmp_path / "frames", 3)
    (tmp_path / "frames/001.png").unlink()
    with pytest.raises(ValueError, match="--count needs 3"):
        prepare("cdam", "sequence", "--frames", tmp_path / "frames", "--count", 3, "--out", tmp_path / "x")


def test_results_are_written_over_by_the_same_command_only(tmp_path):
    command = ("synapses", "--tau", 20, "--steps", 40, "--out", tmp_path / "x")
    prepare(*command)()
    before = (tmp_path / "x/results.json").read_text()
    prepare(*command)()
    assert (tmp_path / "x/results.json").read_text() == before
    with pytest.raises(ValueError, match="steps is 40 there and 41 here"):
        prepare("synapses", "--tau", 20, "--steps", 41, "--out", tmp_path / "x")
    (tmp_path / "other").mkdir()
    (tmp_path / "other/thesis.txt").write_text("all of it")
    with pytest.raises(ValueError, match="not a run directory"):
        prepare("synapses", "--out", tmp_path / "other")


def test_the_command_line_answers_and_says_what_is_wrong_in_one_line(tmp_path, capsys):
    assert main(["cdam", "automaton", "--ask", "Lisa's brother?", "--out", str(tmp_path / "x")]) == 0
    assert "Lisa –brother→ Bart" in capsys.readouterr().out
    assert main(["cdam", "automaton", "--ask", "Who is Maggie?", "--out", str(tmp_path / "y")]) == 2
    assert capsys.readouterr().err.count("\n") == 1
    assert main(["synapses", "--tau", "0", "--out", str(tmp_path / "y")]) == 2
    assert capsys.readouterr().err == "error: --tau must be a list of finite numbers of at least 1. Received (0.0,).\n"
