//! Values of options, from text.

use std::time::Duration;

use http::{HeaderName, HeaderValue, Uri};
use lacewing_client::Version;

/// `name: value`.
pub(crate) fn header(text: &str) -> Result<(HeaderName, HeaderValue), String> {
    let (name, value) = text.split_once(':').ok_or("write it as 'name: value'")?;
    let name = name
        .trim()
        .parse()
        .map_err(|_| format!("{:?} is not a header field name", name.trim()))?;
    let value = value
        .trim()
        .parse()
        .map_err(|_| "the value contains control characters")?;
    Ok((name, value))
}

pub(crate) fn protocol(text: &str) -> Result<Version, String> {
    text.parse()
        .map_err(|_| "choose h2, spdy/3.1, spdy/3 or spdy/2".to_owned())
}

pub(crate) fn seconds(text: &str) -> Result<Duration, String> {
    let number: f64 = text.parse().map_err(|_| "give a number of seconds")?;
    Duration::try_from_secs_f64(number).map_err(|error| error.to_string())
}

pub(crate) fn at_least_one(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(0) | Err(_) => Err("give a number, 1 or more".to_owned()),
        Ok(number) => Ok(number),
    }
}

/// An absolute `http` or `https` URL.
pub(crate) fn url(text: &str) -> Result<Uri, String> {
    let uri: Uri = text
        .parse()
        .map_err(|error| format!("not a URL: {error}"))?;
    lacewing_client::Origin::of(&uri).map_err(|error| error.to_string())?;
    Ok(uri)
}
