//! Several processes that share a load, and their logs.

use std::{
    fs,
    path::PathBuf,
    process::{Command, Stdio},
    sync::atomic::Ordering::Relaxed,
    time::{Duration, SystemTime},
};

use lacewing_client::Version;
use serde_json::Value;

use super::{Treatment, hostile, load};

/// A folder for the logs of a test.
struct Logs(PathBuf);

impl Logs {
    fn new(name: &str) -> Self {
        let name = format!("lacewing-load-{name}-{}", std::process::id());
        let folder = std::env::temp_dir().join(name);
        fs::create_dir_all(&folder).unwrap();
        Self(folder)
    }

    fn path(&self, name: &str) -> String {
        self.0.join(name).to_str().unwrap().to_owned()
    }
}

impl Drop for Logs {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Runs processes that share a load, at once. Returns their logs.
fn segments(logs: &Logs, of: usize, args: &[&str], url: &str) -> Vec<String> {
    let start = SystemTime::now() + Duration::from_secs(3);
    let start = humantime::format_rfc3339_millis(start).to_string();
    let mut runs = Vec::new();
    for index in 0..of {
        let path = logs.path(&format!("{index}.hlog"));
        let segment = format!("{index}/{of}");
        let run = Command::new(env!("CARGO_BIN_EXE_lacewing"))
            .args(["load", "--segment", &segment, "--start-at", &start])
            .args(["--hlog", &path])
            .args(args)
            .arg(url)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        runs.push((run, path));
    }
    let mut paths = Vec::new();
    for (mut run, path) in runs {
        assert_eq!(run.wait().unwrap().code(), Some(0), "{path}");
        paths.push(path);
    }
    paths
}

fn merge(args: &[&str], paths: &[String]) -> (Option<i32>, String, String) {
    let paths = paths.iter().map(String::as_str);
    let all: Vec<_> = args
        .iter()
        .copied()
        .chain(["--merge"])
        .chain(paths)
        .collect();
    load(&all)
}

fn merge_json(paths: &[String]) -> Value {
    let (code, report, said) = merge(&["--report", "json"], paths);
    assert_eq!((code, said.as_str()), (Some(0), ""), "{report}");
    serde_json::from_str(&report).unwrap()
}

#[test]
fn the_segments_of_an_open_loop_add_up_to_its_plan() {
    let logs = Logs::new("open");
    let (address, _, served) = hostile(Version::Http2, |_| Treatment::Answer);
    let url = format!("http://{address}/");
    let pace = ["--rate", "300", "-D", "1s", "-c", "2", "-m", "20"];
    let paths = segments(&logs, 3, &pace, &url);
    assert_eq!(served.load(Relaxed), 300);
    let whole = merge_json(&paths);
    assert_eq!(whole["plan"]["planned"], 300, "{whole:#}");
    assert_eq!(whole["plan"]["requestsPerSec"], 300.0);
    assert_eq!(whole["requests"]["answered"], 300);
    assert_eq!(whole["connections"]["made"], 6);
    for times in ["responseTime", "serviceTime", "firstByte"] {
        assert_eq!(whole[times]["n"], 300, "{whole:#}");
    }
    // Histograms are joined: the extremes are those of the segments, and the mean is weighted.
    let parts: Vec<Value> = paths
        .iter()
        .map(|path| merge_json(std::slice::from_ref(path)))
        .collect();
    let figure = |report: &Value, key: &str| report["responseTime"][key].as_f64().unwrap();
    let of_parts = |key: &'static str| parts.iter().map(move |part| figure(part, key));
    let most = of_parts("max_ms").fold(0.0, f64::max);
    let least = of_parts("min_ms").fold(f64::MAX, f64::min);
    assert_eq!(figure(&whole, "max_ms"), most);
    assert_eq!(figure(&whole, "min_ms"), least);
    // Reports round to a nanosecond.
    let mean = of_parts("mean_ms").sum::<f64>() / 3.0;
    assert!((figure(&whole, "mean_ms") - mean).abs() < 1e-5);
    let seconds = whole["seconds"].as_array().unwrap().iter();
    let answered: u64 = seconds
        .map(|second| second["answered"].as_u64().unwrap())
        .sum();
    assert_eq!(answered, 300);
    // The starts are the same.
    assert_eq!(whole["startedAt"], parts[0]["startedAt"]);
    assert_eq!(whole["notes"].as_array().unwrap().len(), 0);

    let (code, report, _) = merge(&[], &paths[..2]);
    assert_eq!(code, Some(0), "{report}");
    assert!(report.contains("segments are missing: 2/3"), "{report}");
    let (code, report, _) = merge(&["--threshold", "max<0.001ms"], &paths);
    assert_eq!(code, Some(99), "{report}");
}

#[test]
fn the_segments_of_a_closed_loop_share_its_requests() {
    let logs = Logs::new("closed");
    let (address, _, served) = hostile(Version::Spdy31, |seen| match seen % 10 {
        0 => Treatment::Reset,
        _ => Treatment::Answer,
    });
    let url = format!("http://{address}/");
    let way = ["--protocol", "spdy/3.1", "-n", "101"];
    let paths = segments(&logs, 2, &way, &url);
    let whole = merge_json(&paths);
    assert_eq!(whole["requests"]["sent"], 101);
    assert_eq!(whole["requests"]["answered"], served.load(Relaxed));
    assert_eq!(whole["requests"]["failed"], 101 - served.load(Relaxed));
    assert_eq!(whole["protocol"], "spdy/3.1");
    assert!(
        whole["errorDistribution"]
            .to_string()
            .contains("RST_STREAM"),
        "{whole:#}"
    );
}

#[test]
fn logs_that_do_not_belong_together_are_refused() {
    let logs = Logs::new("refused");
    let paths = ["a.hlog", "b.hlog"].map(|name| logs.path(name));
    for path in &paths {
        let url = format!(
            "http://{}/",
            hostile(Version::Http2, |_| Treatment::Answer).0
        );
        let args = ["--segment", "0/2", "-n", "20", "--hlog", path];
        assert_eq!(load(&[&args[..], &[&url]].concat()).0, Some(0));
    }
    let (code, _, said) = merge(&[], &paths);
    assert_eq!(code, Some(2));
    assert!(said.contains("the target differs"), "{said}");
    let twice = [paths[0].clone(), paths[0].clone()];
    let (code, _, said) = merge(&[], &twice);
    assert_eq!(code, Some(2));
    assert!(said.contains("segment 0/2 is there twice"), "{said}");
    let log = fs::read(&paths[0]).unwrap();
    fs::write(&paths[1], &log[..log.len() - 20]).unwrap();
    let (code, _, said) = merge(&[], &paths[1..]);
    assert_eq!(code, Some(2));
    assert!(
        said.contains("b.hlog") && said.contains("cut off"),
        "{said}"
    );
    let (code, _, said) = merge(&["-n", "5"], &paths);
    assert_eq!(code, Some(2));
    assert!(said.contains("cannot be used with"), "{said}");
    let (code, _, said) = merge(&[], &["/no/file".to_owned()]);
    assert_eq!(code, Some(2));
    assert!(said.contains("/no/file"), "{said}");
}

#[test]
fn the_log_may_go_to_stdout_instead_of_the_report() {
    let logs = Logs::new("stdout");
    let url = format!(
        "http://{}/",
        hostile(Version::Http2, |_| Treatment::Answer).0
    );
    let (code, log, said) = load(&["-n", "50", "--hlog", "-", &url]);
    assert_eq!((code, said.as_str()), (Some(0), ""));
    assert!(!log.contains("All requests succeeded"), "{log}");
    let path = logs.path("one.hlog");
    fs::write(&path, log).unwrap();
    let (code, report, _) = merge(&[], &[path]);
    assert_eq!(code, Some(0), "{report}");
    assert!(report.contains("50 sent, 50 answered"), "{report}");
    assert!(report.contains("service time   n 50"), "{report}");
}

/// The command line of the Job's manifest runs, with a shorter duration.
#[test]
fn the_manifest_for_kubernetes_has_a_valid_command_line() {
    let manifest = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/load-job.yaml");
    let manifest = fs::read_to_string(manifest).unwrap();
    let (_, args) = manifest.split_once("          args:\n").unwrap();
    let start = SystemTime::now() + Duration::from_secs(2);
    let start = humantime::format_rfc3339_millis(start).to_string();
    let address = hostile(Version::Http2, |_| Treatment::Answer).0;
    let args: Vec<String> = args
        .lines()
        .map_while(|line| line.strip_prefix("            - "))
        .map(|arg| {
            arg.replace("$(INDEX)", "3")
                .replace("START_AT", &start)
                .replace("TARGET", &format!("http://{address}/"))
                .replace("=5s", "=50ms")
                .replace("=60s", "=100ms")
        })
        .collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    assert_eq!(args[0], "load");
    let (code, log, said) = load(&args[1..]);
    assert_eq!((code, said.as_str()), (Some(0), ""), "{args:?}");
    assert!(log.contains("\"segment\":\"3/4\""), "{log}");
}
