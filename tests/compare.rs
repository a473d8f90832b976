//! lua54_compare from outside, mostly on small shell scripts that play interpreters whose speed, memory and faults are
//! known.
#![cfg(all(unix, feature = "programs"))]

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

/// A folder with interpreters and scripts of one test.
struct Scene {
    folder: TempDir,
}

impl Scene {
    fn new() -> Scene {
        Scene { folder: tempfile::tempdir().unwrap() }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn file(&self, name: &str, text: &str) -> String {
        fs::write(self.path(name), text).unwrap();
        self.path(name).to_str().unwrap().to_owned()
    }

    /// `NAME=COMMAND` of an interpreter that is a shell script; its $1 is the script to "run".
    fn interpreter(&self, name: &str, shell_script: &str) -> String {
        let file = self.file(&format!("{name}.sh"), shell_script);
        format!("{name}=sh '{file}'")
    }

    /// An interpreter that counts to `count`.
    fn counting(&self, name: &str, count: u32) -> String {
        self.interpreter(name, &format!("i=0; while [ $i -lt {count} ]; do i=$((i+1)); done; echo done"))
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_lua54_compare"));
        command.current_dir(self.folder.path()).args(arguments).stdin(Stdio::null());
        command
    }

    fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().unwrap()
    }

    /// Runs with --json - and gives the report, whatever the exit code.
    fn report(&self, arguments: &[&str]) -> Value {
        let output = self.run(&[arguments, &["--json", "-"]].concat());
        serde_json::from_slice(&output.stdout).unwrap_or_else(|e| panic!("{e}\n{}", stderr(&output)))
    }
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

fn median_ratio(report: &Value, program: usize, quantity: &str) -> f64 {
    report["scripts"][0]["results"][program][quantity]["median"].as_f64().unwrap()
}

fn problems(report: &Value) -> Vec<String> {
    let of_scripts = report["scripts"].as_array().unwrap().iter().flat_map(|s| s["problems"].as_array().unwrap());
    let all = of_scripts.chain(report["problems"].as_array().unwrap());
    all.map(|problem| problem.as_str().unwrap().to_owned()).collect()
}

const QUICK: [&str; 4] = ["--runs", "3", "--warmup", "0"];

// Forty times the work takes far more than three times the CPU time however busy the machine is, and equal work never
// does: what is tested is that the ratio is found, and which way up it is.
const WORK: u32 = 4_000;
const MUCH_WORK: u32 = 40 * WORK;
const CLEARLY_SLOWER: f64 = 3.0;

#[test]
fn a_known_slow_down_is_found() {
    let scene = Scene::new();
    let (one, two) = (scene.counting("one", WORK), scene.counting("two", MUCH_WORK));
    let script = scene.file("s.lua", "");
    let report = scene.report(&[&script, "--baseline", &one, "--candidate", &two, "--runs", "9", "--warmup", "0"]);
    let ratio = median_ratio(&report, 1, "cpu_ratio");
    assert!(ratio > CLEARLY_SLOWER, "forty times the work took {ratio} of the time");
    let low = report["scripts"][0]["results"][1]["cpu_ratio"]["interval"][0].as_f64().unwrap();
    assert!(low > 1.0, "the interval begins at {low}");
    assert_eq!(report["scripts"][0]["results"][1]["runs"].as_array().unwrap().len(), 9);
    assert_eq!(problems(&report), [""; 0]);
}

#[test]
fn the_same_program_twice_is_about_equal() {
    let scene = Scene::new();
    let (one, two) = (scene.counting("one", MUCH_WORK), scene.counting("two", MUCH_WORK));
    let script = scene.file("s.lua", "");
    let report = scene.report(&[&script, "--baseline", &one, "--candidate", &two, "--runs", "9", "--warmup", "0"]);
    let ratio = median_ratio(&report, 1, "cpu_ratio");
    assert!((1.0 / CLEARLY_SLOWER..CLEARLY_SLOWER).contains(&ratio), "{ratio}");
}

#[test]
fn more_memory_is_found() {
    let scene = Scene::new();
    let small = scene.interpreter("small", "echo done");
    let large = scene.interpreter("large", "x=$(head -c 60000000 /dev/zero | tr '\\0' x); echo done");
    let script = scene.file("s.lua", "");
    let report = scene.report(&[&[&*script, "--baseline", &small, "--candidate", &large], &QUICK[..]].concat());
    let ratio = median_ratio(&report, 1, "peak_ratio");
    assert!(ratio > 5.0, "{ratio}");
    assert!(report["scripts"][0]["results"][1]["peak_bytes"].as_f64().unwrap() > 60e6);
}

#[test]
fn outputs_that_differ_fail_with_a_short_diff() {
    let scene = Scene::new();
    let one = scene.interpreter("one", "echo first; echo second");
    let two = scene.interpreter("two", "echo first; echo SECOND");
    let script = scene.file("s.lua", "");
    let arguments = [&[&*script, "--baseline", &one, "--candidate", &two], &QUICK[..]].concat();
    let output = scene.run(&arguments);
    assert_eq!(output.status.code(), Some(1));
    let text = stdout(&output);
    assert!(text.contains("problem: s: standard output differs (- one, + two):"), "{text}");
    assert!(text.contains("2 - second\n") && text.contains("2 + SECOND\n"), "{text}");
    assert!(text.contains("--ignore-output"), "{text}");

    let output = scene.run(&[&arguments[..], &["--ignore-output"]].concat());
    assert_eq!(output.status.code(), Some(0), "{}", stdout(&output));
}

#[test]
fn standard_error_counts_too() {
    let scene = Scene::new();
    let (one, two) = (scene.interpreter("one", "echo a >&2"), scene.interpreter("two", "echo b >&2"));
    let script = scene.file("s.lua", "");
    let arguments = [&[&*script, "--baseline", &one, "--candidate", &two], &QUICK[..]].concat();
    assert!(problems(&scene.report(&arguments))[0].contains("standard error differs"));
    let output = scene.run(&[&arguments[..], &["--ignore-output=stderr"]].concat());
    assert_eq!(output.status.code(), Some(0));
}

#[test]
fn output_that_changes_from_run_to_run_is_named() {
    let scene = Scene::new();
    let changing = scene.interpreter("changing", "[ \"$1\" = -v ] || { echo x >> count; wc -l < count; }");
    let same = scene.interpreter("same", "echo 1");
    let script = scene.file("s.lua", "");
    let report = scene.report(&[&[&*script, "--baseline", &changing, "--candidate", &same], &QUICK[..]].concat());
    assert!(problems(&report)[0].contains("changing does not do the same on every run"), "{:?}", problems(&report));
}

#[test]
fn a_script_that_fails_everywhere_is_one_line_and_the_others_are_kept() {
    let scene = Scene::new();
    let body = "case $1 in *bad*) echo lua: bad.lua:1: boom >&2; exit 1;; esac; echo fine";
    let (one, two) = (scene.interpreter("one", body), scene.interpreter("two", body));
    let (bad, good) = (scene.file("bad.lua", ""), scene.file("good.lua", ""));
    let arguments =
        [&[&*bad, &*good, "no-such.lua", ".", "--baseline", &one, "--candidate", &two], &QUICK[..]].concat();
    let report = scene.report(&arguments);
    let problems = problems(&report);
    assert_eq!(problems[0], "bad: every program ended with exit code 1: lua: bad.lua:1: boom");
    assert!(problems[1].starts_with("no-such.lua: cannot read the script: "), "{problems:?}");
    assert_eq!(problems[2], ".: this is a folder, not a script");
    assert_eq!(problems.len(), 3);
    assert_eq!(report["scripts"][1]["results"].as_array().unwrap().len(), 2, "good.lua was measured");

    let report = scene.report(&[&arguments[..], &["--ignore-failure"]].concat());
    assert_eq!(report["scripts"][0]["results"].as_array().unwrap().len(), 2, "bad.lua too, when asked for");
}

#[test]
fn a_hanging_peer_is_ended_and_the_others_are_kept() {
    let scene = Scene::new();
    let (one, two) = (scene.interpreter("one", "echo x"), scene.interpreter("two", "echo x"));
    let hanging = scene.interpreter("hanging", "[ \"$1\" = -v ] || sleep 1000");
    let script = scene.file("s.lua", "");
    let start = Instant::now();
    let arguments = ["--baseline", &one, "--candidate", &two, "--with", &hanging, "--timeout", "2"];
    let report = scene.report(&[&[&*script], &arguments[..], &QUICK[..]].concat());
    assert!(start.elapsed() < Duration::from_secs(100));
    assert_eq!(problems(&report), ["s: hanging took longer than 2.00 s and was ended (see --timeout)"]);
    assert_eq!(report["scripts"][0]["results"].as_array().unwrap().len(), 2);
}

#[test]
fn crashing_and_missing_peers_are_one_line_each() {
    let scene = Scene::new();
    let (one, two) = (scene.interpreter("one", "echo x"), scene.interpreter("two", "echo x"));
    let crashing = scene.interpreter("crashing", "kill -SEGV $$");
    let script = scene.file("s.lua", "");
    let arguments = ["--baseline", &one, "--candidate", &two, "--with", &crashing, "--with", "gone=no-such-lua"];
    let output = scene.run(&[&[&*script], &arguments[..], &QUICK[..]].concat());
    assert_eq!(output.status.code(), Some(1));
    let text = stdout(&output);
    assert!(
        text.contains("problem: s: one succeeded, crashing crashed with signal 11 (segmentation fault)\n"),
        "{text}"
    );
    assert!(text.contains("problem: there is no program \"no-such-lua\""), "{text}");
    assert!(text.lines().any(|line| line.starts_with("two ")), "the result of two is shown:\n{text}");
}

#[test]
fn a_missing_baseline_says_what_to_do() {
    let scene = Scene::new();
    let script = scene.file("s.lua", "");
    let output = scene.run(&[&script, "--baseline", "no-such-lua"]);
    assert_eq!(output.status.code(), Some(2));
    assert_eq!(stderr(&output), "lua54_compare: there is no program \"no-such-lua\" (neither a file nor on PATH)\n");
    // A copy of the program without its neighbours.
    let alone = scene.path("lua54_compare");
    fs::copy(env!("CARGO_BIN_EXE_lua54_compare"), &alone).unwrap();
    let output = Command::new(&alone).arg(&script).env("PATH", "").output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("cargo build --release"), "{}", stderr(&output));
}

#[test]
fn much_output_is_compared_and_endless_output_is_ended() {
    let scene = Scene::new();
    let body = "head -c 300000000 /dev/zero; echo $LAST";
    let one = scene.interpreter("one", &format!("LAST=1; {body}"));
    let two = scene.interpreter("two", &format!("LAST=2; {body}"));
    let endless = scene.interpreter("endless", "exec yes");
    let script = scene.file("s.lua", "");
    let arguments = ["--baseline", &one, "--candidate", &two, "--with", &endless, "--output-limit", "400"];
    let report = scene.report(&[&[&*script], &arguments[..], &["--runs", "1", "--warmup", "0"]].concat());
    let problems = problems(&report);
    assert!(problems[0].contains("standard output differs") && problems[0].contains("same beginning"), "{problems:?}");
    assert!(problems[1].starts_with("s: endless printed more than 400 MiB and was ended"), "{problems:?}");
}

#[test]
fn all_programs_are_called_lua() {
    let scene = Scene::new();
    let cat = ["/bin/cat", "/usr/bin/cat"].into_iter().find(|path| Path::new(path).is_file()).unwrap();
    for name in ["one", "two"] {
        std::os::unix::fs::symlink(cat, scene.path(name)).unwrap();
    }
    let script = scene.file("s.lua", "");
    let (one, two) = (scene.path("one"), scene.path("two"));
    let programs = ["--baseline", one.to_str().unwrap(), "--candidate", two.to_str().unwrap(), "--ignore-failure"];
    for option in [None, Some("--keep-name")] {
        let arguments = [&[&*script], &programs[..], &QUICK[..], option.as_slice(), &["--", "/no/such"]].concat();
        let output = scene.run(&arguments);
        assert_eq!(output.status.code(), Some(0), "{option:?}: {}", stdout(&output));
    }
}

#[test]
fn ctrl_c_shows_what_there_is() {
    let scene = Scene::new();
    let body = "case $1 in *slow*) sleep 1000;; esac; echo fine";
    let (one, two) = (scene.interpreter("one", body), scene.interpreter("two", body));
    let (fast, slow) = (scene.file("fast.lua", ""), scene.file("slow.lua", ""));
    let arguments = [&[&*fast, &*slow, "--baseline", &one, "--candidate", &two], &QUICK[..]].concat();
    let mut command = scene.command(&arguments);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut progress = BufReader::new(child.stderr.take().unwrap());
    let mut line = String::new();
    progress.read_line(&mut line).unwrap();
    assert!(line.starts_with("[1/2] fast: two "), "{line}");
    // SAFETY: kill has no memory effects; the process is our own unreaped child.
    assert_eq!(unsafe { libc::kill(child.id() as libc::pid_t, libc::SIGINT) }, 0);
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(130));
    assert!(stdout(&output).contains("fast"), "{}", stdout(&output));
}

#[test]
fn limits_on_the_ratio_decide_the_exit_status() {
    let scene = Scene::new();
    let (fast, slow) = (scene.counting("fast", WORK), scene.counting("slow", MUCH_WORK));
    let script = scene.file("s.lua", "");
    let run = |baseline: &str, candidate: &str| {
        let arguments =
            [&script, "--baseline", baseline, "--candidate", candidate, "--fail-above", "0.9", "--runs", "5"];
        scene.run(&arguments)
    };
    assert_eq!(run(&slow, &fast).status.code(), Some(0));
    let output = run(&fast, &slow);
    assert_eq!(output.status.code(), Some(1));
    let text = stdout(&output);
    assert!(
        text.contains("problem: s: the CPU ratio ") && text.contains("above the limit 0.9 (--fail-above)"),
        "{text}"
    );
}

#[test]
fn a_report_can_be_loaded_compared_with_and_written_in_every_format() {
    let scene = Scene::new();
    let (one, two) = (scene.counting("one", 20_000), scene.counting("two", 20_000));
    let (first, second) = (scene.file("first.lua", ""), scene.file("second.lua", ""));
    let arguments = [&first, &second, "--baseline", &one, "--candidate", &two, "--runs", "5", "--json", "r.json"];
    assert_eq!(scene.run(&arguments).status.code(), Some(0));

    let output = scene.run(&["--load", "r.json", "--against", "r.json", "--fail-worse", "1"]);
    assert_eq!(output.status.code(), Some(0), "{}", stdout(&output));
    assert!(stdout(&output).contains("CPU ratio against the earlier run"), "{}", stdout(&output));

    let csv = stdout(&scene.run(&["--load", "r.json", "--csv", "-"]));
    assert_eq!(csv.lines().count(), 1 + 2 * 2, "{csv}");
    assert!(csv.starts_with("script,arguments,program,runs,cpu_seconds,"), "{csv}");
    let markdown = stdout(&scene.run(&["--load", "r.json", "--markdown", "-"]));
    assert!(markdown.contains("| first | "), "{markdown}");
    assert!(markdown.contains("| **geometric mean** |"), "{markdown}");
    for recorded in ["date", "machine", "command_line", "programs", "tool_version"] {
        let report: Value = serde_json::from_slice(&fs::read(scene.path("r.json")).unwrap()).unwrap();
        assert!(!report[recorded].is_null(), "{recorded}");
    }
    assert_eq!(scene.run(&["--load", "r.json", "--html", "r.html", "--picture", "r.svg"]).status.code(), Some(0));
    let page = fs::read_to_string(scene.path("r.html")).unwrap();
    assert!(page.contains("<svg") && page.contains("prefers-color-scheme"));
    let outside = ["http://", "https://", "src=", "@import", "url(", "<script", "<link"];
    for outside in outside {
        assert!(!page.contains(outside), "the page must not refer to anything outside it: {outside}");
    }
    assert!(fs::read_to_string(scene.path("r.svg")).unwrap().ends_with("</svg>"));

    fs::write(scene.path("broken.json"), "{").unwrap();
    let output = scene.run(&["--load", "broken.json"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).starts_with("lua54_compare: broken.json is not a report"), "{}", stderr(&output));
}

#[test]
fn a_suite_gives_scripts_and_arguments() {
    let scene = Scene::new();
    let echo = scene.interpreter("echo", "echo \"$@\"");
    scene.file("work.lua", "");
    let suite = "name\tscript\targs\tdescription\nsmall\twork.lua\t1\tA little\nlarge\twork.lua\t2 3\tA lot\n";
    scene.file("list.tsv", suite);
    let arguments = ["--suite=list.tsv", "--only", "large", "--baseline", &echo, "--candidate", &echo];
    let report = scene.report(&[&arguments[..], &QUICK[..]].concat());
    let scripts = report["scripts"].as_array().unwrap();
    assert_eq!(scripts.len(), 1);
    assert_eq!(scripts[0]["name"], "large");
    assert_eq!(scripts[0]["arguments"], serde_json::json!(["2", "3"]));
    assert_eq!(scripts[0]["description"], "A lot");
    assert_eq!(report["programs"][1]["name"], "echo (2)");

    let output = scene.run(&["--suite=list.tsv", "--only", "medium"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("it has small, large"), "{}", stderr(&output));
}

#[test]
fn standard_input_comes_from_the_file() {
    let scene = Scene::new();
    let (one, two) = (scene.interpreter("one", "cat"), scene.interpreter("two", "echo hello"));
    let (script, input) = (scene.file("s.lua", ""), scene.file("in.txt", "hello\n"));
    let arguments = [&[&*script, "--baseline", &one, "--candidate", &two, "--input", &input], &QUICK[..]].concat();
    assert_eq!(scene.run(&arguments).status.code(), Some(0));
}

#[test]
fn colour_only_where_it_is_wanted() {
    let scene = Scene::new();
    let one = scene.interpreter("one", "echo x");
    let script = scene.file("s.lua", "");
    let arguments = [&[&*script, "--baseline", &one, "--candidate", &one], &QUICK[..]].concat();
    assert!(!scene.run(&arguments).stdout.contains(&0x1b), "standard output is no terminal here");
    let always = [&arguments[..], &["--color", "always"]].concat();
    assert!(scene.run(&always).stdout.contains(&0x1b));
}

#[test]
fn a_reader_who_leaves_early_is_no_disaster() {
    let scene = Scene::new();
    let one = scene.interpreter("one", "echo x");
    let script = scene.file("s.lua", "");
    let arguments = [&[&*script, "--baseline", &one, "--candidate", &one], &QUICK[..]].concat();
    let mut child = scene.command(&arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert!(!stderr(&output).contains("panicked"), "{}", stderr(&output));
    assert_eq!(output.status.code(), Some(0));
}

#[test]
fn help_has_examples_and_wrong_options_one_clear_message() {
    let scene = Scene::new();
    let help = stdout(&scene.run(&["--help"]));
    for needed in ["Examples:", "--suite", "--fail-above", "Exit status:", "luajit -joff"] {
        assert!(help.contains(needed), "{needed} is missing in --help");
    }
    let output = scene.run(&[]);
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).starts_with("lua54_compare: no script to run"), "{}", stderr(&output));
    assert_eq!(scene.run(&["a.lua", "--runs", "0"]).status.code(), Some(2));
    let output = scene.run(&["a.lua", "--json", "-", "--csv", "-"]);
    assert!(stderr(&output).contains("only one format"), "{}", stderr(&output));
    let output = scene.run(&["a.lua", "--html", "no/such/folder/r.html"]);
    assert!(stderr(&output).contains("there is no folder no/such/folder"), "{}", stderr(&output));
}

#[cfg(all(target_os = "linux", target_env = "gnu"))]
#[test]
fn a_library_that_cannot_be_loaded_is_no_peer() {
    let scene = Scene::new();
    let one = scene.interpreter("one", "echo x");
    let (script, library) = (scene.file("s.lua", ""), scene.file("libbad.so", "this is no library"));
    let preload = format!("bad={library}");
    let arguments = ["--baseline", &one, "--candidate", &one, "--preload", &preload];
    let report = scene.report(&[&[&*script], &arguments[..], &QUICK[..]].concat());
    assert!(problems(&report)[0].contains("cannot be preloaded"), "{:?}", problems(&report));
    assert_eq!(report["programs"].as_array().unwrap().len(), 2);
}

#[cfg(target_os = "linux")]
#[test]
fn memory_over_time_and_frame_times() {
    let scene = Scene::new();
    let body = "echo done; [ \"$2\" != times ] || echo frame_ms median=1.5 p99=2.5 worst=9; sleep 0.2";
    let one = scene.interpreter("one", body);
    let script = scene.file("game.lua", "-- prints frame_ms when asked");
    let arguments = ["--baseline", &one, "--candidate", &one, "--timeline", "--frames"];
    let report = scene.report(&[&[&*script], &arguments[..], &QUICK[..]].concat());
    for result in report["scripts"][0]["results"].as_array().unwrap() {
        assert_eq!(result["frame_times"]["worst_ms"], 9.0);
        assert!(result["resident"].as_array().unwrap().len() > 5, "{}", result["resident"]);
    }
}

#[test]
#[ignore = "needs valgrind; .ci/run installs it"]
fn instructions_are_counted_alike_on_every_run() {
    let scene = Scene::new();
    let (one, two) = (scene.counting("one", 1_000), scene.counting("two", 20_000));
    let script = scene.file("s.lua", "");
    let arguments = ["--baseline", &one, "--candidate", &two, "--counts"];
    let report = scene.report(&[&[&*script], &arguments[..], &QUICK[..]].concat());
    let count = |program: usize| report["scripts"][0]["results"][program]["instructions"].as_f64().unwrap();
    assert!(count(1) > 2.0 * count(0), "{} against {}", count(1), count(0));
}

#[test]
#[ignore = "needs valgrind; .ci/run installs it"]
fn of_the_instructions_those_of_malloc_and_of_the_inlined_pool_are_told() {
    let scene = Scene::new();
    let script = scene.file("s.lua", "for i = 1, 20000 do local t = { i, { i } } end");
    let report = scene.report(&[&[&*script, "--counts"], &QUICK[..]].concat());
    let part = |program: usize| {
        let result = &report["scripts"][0]["results"][program];
        result["allocator_instructions"].as_f64().unwrap() / result["instructions"].as_f64().unwrap()
    };
    assert!(part(0) > part(1) && part(1) > 0.01, "malloc {}, pool {}", part(0), part(1));
}

/// The page in frames of two widths; a script writes down whether it fits and what it holds.
fn harness(page: &str) -> String {
    let inside = page.replace('&', "&amp;").replace('"', "&quot;");
    let frame = |width: u32| format!("<iframe width={width} height=900 srcdoc=\"{inside}\"></iframe>");
    format!(
        "<!DOCTYPE html><body>{}{}<script>
        onload = () => {{
          const frames = [...document.querySelectorAll('iframe')].map(frame => frame.contentDocument);
          const fits = frames.map(page => page.documentElement.scrollWidth <= page.documentElement.clientWidth);
          const bars = frames[0].querySelectorAll('svg rect.bar');
          const drawn = [...bars].filter(bar => bar.getBoundingClientRect().width > 1).length;
          document.body.innerHTML = `<p>fits:${{fits}} bars:${{bars.length}} drawn:${{drawn}} curves:` +
            `${{frames[0].querySelectorAll('polyline').length}} heading:${{frames[0].querySelector('h1').textContent}}</p>`;
        }};
        </script></body>",
        frame(1200),
        frame(360)
    )
}

#[test]
#[ignore = "needs chromium; .ci/run installs it"]
fn the_report_is_drawn_by_a_browser_on_desk_and_phone() {
    let scene = Scene::new();
    let (one, two) = (scene.counting("one", 30_000), scene.counting("two", 40_000));
    let peer = scene.counting("a-third-program-with-quite-a-long-name", 30_000);
    let (first, second) = (scene.file("first.lua", ""), scene.file("second_with_a_long_name.lua", ""));
    let programs = ["--baseline", &one, "--candidate", &two, "--with", &peer];
    let output =
        scene.run(&[&[&*first, &*second], &programs[..], &["--runs", "5", "--timeline", "--html", "r.html"]].concat());
    assert_eq!(output.status.code(), Some(0), "{}", stdout(&output));

    let page = fs::read_to_string(scene.path("r.html")).unwrap();
    let harness = scene.file("harness.html", &harness(&page));
    let browser = ["chromium", "chromium-browser", "google-chrome"]
        .into_iter()
        .find(|name| Command::new(name).arg("--version").output().is_ok())
        .expect("a browser");
    let options = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--dump-dom"];
    let profile = format!("--user-data-dir={}", scene.path("profile").display());
    let dumped = Command::new(browser).args(options).args([&profile, &harness]).output().unwrap();
    let dom = stdout(&dumped);
    // Two pictures of two scripts and a mean, for two programs each; curves for three programs on two scripts.
    assert!(dom.contains("fits:true,true bars:12 drawn:12 curves:6 heading:two and a-third"), "{dom}");
}
