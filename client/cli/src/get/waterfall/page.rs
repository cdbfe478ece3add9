//! The waterfall as an HTML page that needs nothing else.

use std::fmt::Write as _;

use lacewing_conform::Side;

use super::{
    flow::Point,
    picture::{self, escape},
    timeline::{Connection, Timeline},
};
use crate::get::record::short;

/// The frames of a connection that are listed.
const MAX_LISTED: usize = 2_000;

const STYLE: &str = "
body { margin: 1rem auto; padding: 0 .7rem; max-width: 76rem; font: 1rem/1.4 system-ui, sans-serif;
  color: var(--ink); background: var(--paper) }
h1 { font-size: 1.3rem } h2 { font-size: 1rem; margin: 1.5rem 0 .3rem; overflow-wrap: anywhere }
p { margin: .3rem 0 } figure { margin: .5rem 0; overflow-x: auto }
svg { width: 100%; min-width: 46rem; height: auto; display: block }
pre { white-space: pre-wrap; overflow-wrap: anywhere; font-size: .8rem; color: var(--ink) }
.key span { margin-right: 1em }
.key i { display: inline-block; width: 1.1em; height: .7em; margin-right: .3em }
";

/// The key of the colours: a style, and its meaning.
const KEY: [(&str, &str); 7] = [
    ("background:#2aa5a5", "DNS"),
    ("background:#e0932f", "TCP"),
    ("background:#a35fc4", "TLS"),
    (
        "background:var(--wait);height:.2em",
        "waiting for the response",
    ),
    ("background:var(--open);height:.2em", "open"),
    (
        "background:hsl(210 65% 55%)",
        "bytes, in a colour for each stream; lower if sent",
    ),
    (
        "background:var(--stall);opacity:.5",
        "a window is empty: nothing may be sent",
    ),
];

pub(super) fn page(timeline: &Timeline) -> String {
    let streams: usize = timeline
        .connections
        .iter()
        .map(|each| each.rows.len())
        .sum();
    let headline = format!(
        "{} in {}, over {}",
        counted(streams, "stream"),
        short(timeline.length),
        counted(timeline.connections.len(), "connection")
    );
    let mut body = String::new();
    let mut key = String::new();
    // Writing to a string cannot fail.
    for (style, meaning) in KEY {
        let _ = write!(key, "<span><i style=\"{style}\"></i>{meaning}</span> ");
    }
    for connection in &timeline.connections {
        add(&mut body, connection, timeline);
    }
    if timeline.lost > 0 {
        let _ = write!(
            body,
            "<p>The last {} frames are missing.</p>",
            timeline.lost
        );
    }
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width\">\n\
         <meta http-equiv=\"content-security-policy\" \
         content=\"default-src 'none'; style-src 'unsafe-inline'\">\n\
         <title>{headline}</title>\n<style>{}{STYLE}</style>\n</head>\n<body>\n\
         <h1>{headline}</h1>\n<p class=\"key\">{key}</p>\n{body}</body>\n</html>\n",
        picture::STYLE
    )
}

/// The pictures of the page alone, as SVG.
pub(super) fn pictures(timeline: &Timeline) -> String {
    let mut pictures = Vec::new();
    for connection in &timeline.connections {
        let title = format!("{} {}", connection.protocol, connection.origin);
        let drawn = picture::waterfall(connection, timeline.length);
        pictures.push((title, drawn));
        for (points, from) in windows(connection) {
            let drawn = picture::window(points, from, timeline.length);
            pictures.extend(drawn.map(|drawn| (String::new(), drawn)));
        }
    }
    picture::file(&pictures)
}

fn windows(connection: &Connection) -> [(&[Point], Side); 2] {
    [
        (&connection.received, Side::Server),
        (&connection.sent, Side::Client),
    ]
}

fn counted(number: usize, what: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{number} {what}{plural}")
}

fn add(body: &mut String, connection: &Connection, timeline: &Timeline) {
    let Connection {
        origin, protocol, ..
    } = connection;
    let _ = write!(body, "<h2>{protocol} {}</h2>\n<p>", escape(origin));
    for step in &connection.steps {
        let time = short(step.to.saturating_sub(step.from));
        let _ = write!(body, "{} {time}, ", step.name);
    }
    let of = |side| {
        let frames = connection.frames.iter();
        frames.filter(|frame| frame.from == side).count()
    };
    let _ = match connection.frames.is_empty() {
        true => writeln!(body, "no frames: HTTP/1.1 has none</p>"),
        false => writeln!(
            body,
            "{} frames sent, {} received</p>",
            of(Side::Client),
            of(Side::Server)
        ),
    };
    let drawn = picture::waterfall(connection, timeline.length).inline();
    let _ = writeln!(body, "<figure>{drawn}</figure>");
    let more = connection.rows.len().saturating_sub(picture::MAX_ROWS);
    if more > 0 {
        let _ = writeln!(body, "<p>and {more} more streams</p>");
    }
    for (points, from) in windows(connection) {
        if let Some(drawn) = picture::window(points, from, timeline.length) {
            let _ = writeln!(body, "<figure>{}</figure>", drawn.inline());
        }
    }
    if connection.frames.is_empty() {
        return;
    }
    let _ = write!(body, "<details><summary>Frames</summary>\n<pre>");
    for frame in connection.frames.iter().take(MAX_LISTED) {
        let arrow = match frame.from {
            Side::Client => "&gt;",
            Side::Server => "&lt;",
        };
        let at = frame.at.as_secs_f64() * 1000.0;
        let _ = writeln!(body, "{at:10.3} ms {arrow} {}", escape(&frame.title));
    }
    let more = connection.frames.len().saturating_sub(MAX_LISTED);
    if more > 0 {
        let _ = writeln!(body, "and {more} more");
    }
    body.push_str("</pre></details>\n");
}
