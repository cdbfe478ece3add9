//! The charts of a run: `--chart`.

use std::fs;

use lacewing_client::Version;

use super::{Treatment, hostile, load};

#[test]
fn a_page_and_a_picture_need_nothing_else() {
    let folder = std::env::temp_dir().join(format!("lacewing-load-charts-{}", std::process::id()));
    fs::create_dir_all(&folder).unwrap();
    let (address, _, _) = hostile(Version::Http2, |seen| match seen % 10 {
        0 => Treatment::Reset,
        _ => Treatment::Answer,
    });
    let url = format!("http://{address}/");
    for name in ["run.html", "run.svg"] {
        let path = folder.join(name);
        let path = path.to_str().unwrap();
        let pace = ["--rate", "500", "-D", "2s", "-m", "50"];
        let (code, report, said) = load(&[&pace[..], &["--chart", path, &url]].concat());
        assert_eq!((code, said.as_str()), (Some(0), ""), "{report}");
        // The report is written too.
        assert!(
            report.contains("1000 requests, constant arrivals"),
            "{report}"
        );
        let drawn = fs::read_to_string(path).unwrap();
        for text in [
            "Requests by second",
            "Response times by second",
            "Response times by percentile",
            "answered",
            "failed",
        ] {
            assert!(drawn.contains(text), "{name}: {text}");
        }
        // One line each: answered and failed, p50, p99 and the longest, and the distribution. The
        // p99 needs a thousand answers in a second, and there are fewer.
        assert_eq!(
            drawn.matches("<polyline").count(),
            lines_of_axes(&drawn) + 5
        );
        for foreign in ["<script", "src=", "@import", "url("] {
            assert!(!drawn.contains(foreign), "{name}: {foreign}");
        }
        if name == "run.html" {
            assert!(drawn.contains("RST_STREAM INTERNAL_ERROR"), "{drawn}");
            assert!(drawn.contains("prefers-color-scheme: dark"));
            assert!(drawn.contains("width=device-width"));
        }
    }
    let (code, _, said) = load(&["-n", "1", "--chart", "run.png", &url]);
    assert_eq!(code, Some(2));
    assert!(said.contains(".html or .svg"), "{said}");
    let (code, _, said) = load(&["-n", "1", "--chart", "/nowhere/run.svg", &url]);
    assert_eq!(code, Some(2));
    assert!(said.contains("cannot write /nowhere/run.svg"), "{said}");
    fs::remove_dir_all(&folder).unwrap();
}

/// The polylines of axes and their ticks are one unit wide; those of data are two.
fn lines_of_axes(drawn: &str) -> usize {
    let lines = drawn.lines().filter(|line| line.contains("<polyline"));
    lines
        .filter(|line| line.contains("stroke-width=\"1\""))
        .count()
}
