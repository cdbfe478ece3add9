//! The requests of a run, in turn, as often as their weights.

use http::{HeaderMap, Method};
use lacewing_client::Origin;

use super::{args::Args, har, template::Template};
use crate::status::Failure;

/// Returns the origin and the turns of a round.
pub(super) fn of(args: &Args) -> Result<(Origin, Vec<Template>), Failure> {
    match &args.request.har {
        Some(path) => har::read(path, &args.request.headers),
        None => Ok((origin(args)?, of_urls(args)?)),
    }
}

/// The one origin of all URLs.
fn origin(args: &Args) -> Result<Origin, Failure> {
    let mut found: Option<Origin> = None;
    for url in &args.urls {
        let origin = Origin::of(&url.uri).map_err(Failure::usage)?;
        match &found {
            Some(first) if *first != origin => {
                return Err(Failure::usage(format!(
                    "the URLs have two origins, {first} and {origin}; load one origin at a time"
                )));
            }
            Some(_) => {}
            None => found = Some(origin),
        }
    }
    found.ok_or_else(|| Failure::usage("give a URL"))
}

/// One request for each turn of a round. The turns of a URL are spread over the round.
fn of_urls(args: &Args) -> Result<Vec<Template>, Failure> {
    let content = args.request.content()?;
    let method = args.request.method.clone();
    let method = method.unwrap_or(match content {
        Some(_) => Method::POST,
        None => Method::GET,
    });
    let mut fields = HeaderMap::new();
    for (name, value) in &args.request.headers {
        fields.append(name.clone(), value.clone());
    }
    let mut turns = Vec::new();
    for url in &args.urls {
        let mut template = Template::new(&method, &url.uri, fields.clone(), content.clone())
            .map_err(Failure::usage)?;
        if args.request.mux {
            // A raw stream has the fields of the command line alone.
            template.head.fields.clone_from(&fields);
        }
        for turn in 0..url.weight {
            // The middle of the turn's share of the round, as a fraction with a fixed divisor.
            let place = (2 * turn + 1) * 1_000_000 / url.weight;
            turns.push((place, template.clone()));
        }
    }
    turns.sort_by_key(|(place, _)| *place);
    Ok(turns.into_iter().map(|(_, head)| head).collect())
}
