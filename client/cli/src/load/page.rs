//! The report of a run as an HTML page that needs nothing else.

use std::fmt::Write as _;

use super::{charts, outcome::Outcome, report::Report};

/// The page's style. The charts' colours become those of the theme.
const STYLE: &str = "
:root { color-scheme: light dark; --ink: #202020; --grid: #dddddd; --paper: #ffffff; --link: #1f77d4 }
@media (prefers-color-scheme: dark) {
  :root { --ink: #dddddd; --grid: #444444; --paper: #181818; --link: #6cb2ff }
}
body { margin: 1rem auto; padding: 0 .7rem; max-width: 60rem; font: 1rem/1.4 system-ui, sans-serif;
  color: var(--ink); background: var(--paper) }
h1 { font-size: 1.2rem; overflow-wrap: anywhere }
pre { white-space: pre-wrap; overflow-wrap: anywhere; font-size: .85rem }
figure { margin: 1rem 0 }
svg { width: 100%; height: auto; max-width: 48rem }
svg [fill='#202020'] { fill: var(--ink) }
svg [stroke='#202020'] { stroke: var(--ink) }
svg [stroke='#DDDDDD'] { stroke: var(--grid) }
";

/// Returns the page.
pub(super) fn page(outcome: &Outcome) -> Result<String, String> {
    let mut figures = String::new();
    for chart in charts::of(outcome) {
        let title = escape(&chart.title);
        let svg = charts::svg(&[chart]).map_err(|error| error.to_string())?;
        // Writing to a string cannot fail.
        let _ = writeln!(
            figures,
            "<figure role=\"img\" aria-label=\"{title}\">{svg}</figure>"
        );
    }
    let headline = escape(&outcome.headline);
    let report = escape(&Report(outcome).to_string());
    let start = humantime::format_rfc3339_seconds(outcome.start);
    Ok(format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width\">\n\
         <meta http-equiv=\"content-security-policy\" \
         content=\"default-src 'none'; style-src 'unsafe-inline'\">\n\
         <title>{headline}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n\
         <h1>{headline}</h1>\n<p>{start}</p>\n{figures}<pre>{report}</pre>\n</body>\n</html>\n"
    ))
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}
