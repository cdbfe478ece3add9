//! --waterfall: streams, frames, windows and stalls over time.

mod flow;
mod page;
mod picture;
mod terminal;
mod timeline;
mod trace;

use std::path::{Path, PathBuf};

use self::timeline::Timeline;
pub(super) use self::trace::{Trace, Tracing};
use super::record::Exchange;
use crate::{console, status::Failure};

/// The place of a waterfall.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    Terminal,
    Page(PathBuf),
    Picture(PathBuf),
}

/// Reads the option's value.
pub(crate) fn place(text: &str) -> Result<Place, String> {
    let ends_in = |wanted| {
        let found = Path::new(text).extension();
        found.is_some_and(|found| found.eq_ignore_ascii_case(wanted))
    };
    match text {
        "" => Ok(Place::Terminal),
        _ if ends_in("html") => Ok(Place::Page(text.into())),
        _ if ends_in("svg") => Ok(Place::Picture(text.into())),
        _ => Err("end the name in .html or .svg, or leave it out".to_owned()),
    }
}

/// Shows what was traced. The requests in HTTP/1.1, which have no frames, are those of the record.
pub(super) fn show(place: &Place, trace: &Trace, exchanges: &[Exchange]) -> Result<(), Failure> {
    let timeline = Timeline::new(trace, exchanges);
    let (path, text) = match place {
        Place::Terminal => {
            console::eprint(terminal::Text::new(&timeline));
            return Ok(());
        }
        Place::Page(path) => (path, page::page(&timeline)),
        Place::Picture(path) => (path, page::pictures(&timeline)),
    };
    let failed = |error| Failure::local(format!("cannot write {}: {error}", path.display()));
    std::fs::write(path, text).map_err(failed)
}
