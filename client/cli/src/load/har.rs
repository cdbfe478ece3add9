//! The requests of a HAR file, as browsers and `lacewing get --har` write it.

use std::{fs::File, io::Read as _, path::Path};

use bytes::Bytes;
use http::{
    HeaderMap, HeaderName, HeaderValue, Method, Uri,
    header::{CONTENT_LENGTH, HOST, TE},
};
use lacewing_client::Origin;
use lacewing_conn::proto::fields::CONNECTION_SPECIFIC;
use serde::Deserialize;

use super::template::Template;
use crate::{console, status::Failure};

/// The largest file that is read.
const MAX_FILE: u64 = 256 << 20;
/// The most requests of a round.
const MAX_REQUESTS: usize = 10_000;

#[derive(Deserialize)]
struct Document {
    log: Log,
}

#[derive(Deserialize)]
struct Log {
    entries: Vec<Entry>,
}

#[derive(Deserialize)]
struct Entry {
    request: Request,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Request {
    method: String,
    url: String,
    #[serde(default)]
    headers: Vec<Field>,
    post_data: Option<PostData>,
}

#[derive(Deserialize)]
struct Field {
    name: String,
    value: String,
}

#[derive(Deserialize)]
struct PostData {
    text: Option<String>,
}

/// Reads the requests to the origin of the first one, in their order. The `extra` fields replace
/// those of the file.
pub(super) fn read(
    path: &Path,
    extra: &[(HeaderName, HeaderValue)],
) -> Result<(Origin, Vec<Template>), Failure> {
    let wrong = |text: String| Failure::usage(format!("{}: {text}", path.display()));
    let mut bytes = Vec::new();
    let file = File::open(path);
    let file = file.map_err(|error| wrong(format!("cannot be read (--har): {error}")))?;
    let read = file.take(MAX_FILE + 1).read_to_end(&mut bytes);
    read.map_err(|error| wrong(error.to_string()))?;
    if bytes.len() as u64 > MAX_FILE {
        return Err(wrong(format!("more than {MAX_FILE} bytes; cut it down")));
    }
    let found = of_document(&bytes, extra).map_err(wrong)?;
    if found.elsewhere > 0 {
        console::note(format!(
            "{}: {} entries are left out, since they have no URL of {}",
            path.display(),
            found.elsewhere,
            found.origin
        ));
    }
    Ok((found.origin, found.templates))
}

/// The requests of a document.
struct Found {
    origin: Origin,
    templates: Vec<Template>,
    /// Entries of other origins, or without an `http` URL.
    elsewhere: usize,
}

fn of_document(bytes: &[u8], extra: &[(HeaderName, HeaderValue)]) -> Result<Found, String> {
    let document: Document = serde_json::from_slice(bytes)
        .map_err(|error| format!("no HAR: {error}; a HAR has log.entries with requests"))?;
    let mut first = None;
    let (mut templates, mut elsewhere) = (Vec::new(), 0);
    for (index, entry) in document.log.entries.into_iter().enumerate() {
        let request = entry.request;
        let url = request.url.parse::<Uri>().ok();
        let origin = url.as_ref().and_then(|url| Origin::of(url).ok());
        let (Some(url), Some(origin)) = (url, origin) else {
            elsewhere += 1;
            continue;
        };
        if *first.get_or_insert_with(|| origin.clone()) != origin {
            elsewhere += 1;
            continue;
        }
        if templates.len() == MAX_REQUESTS {
            return Err(format!("more than {MAX_REQUESTS} requests; cut it down"));
        }
        let template = template(&url, request, extra);
        templates.push(template.map_err(|error| format!("log.entries[{index}]: {error}"))?);
    }
    let origin = first.ok_or("no entry has an http or https URL")?;
    Ok(Found {
        origin,
        templates,
        elsewhere,
    })
}

fn template(
    url: &Uri,
    request: Request,
    extra: &[(HeaderName, HeaderValue)],
) -> Result<Template, String> {
    let method: Method = request
        .method
        .parse()
        .map_err(|_| format!("{:?} is no method", request.method))?;
    if method == Method::CONNECT {
        return Err("CONNECT is no request of a load; remove the entry".to_owned());
    }
    let mut fields = HeaderMap::new();
    for Field { name, value } in &request.headers {
        // Some programs write pseudo-header fields too.
        if name.starts_with(':') {
            continue;
        }
        let parsed = HeaderName::try_from(name).map_err(|_| format!("the field name {name:?}"))?;
        let value = HeaderValue::try_from(value).map_err(|_| format!("the value of {name}"))?;
        if !is_of_connection(&parsed, &value) {
            fields.append(parsed, value);
        }
    }
    for (name, _) in extra {
        fields.remove(name);
    }
    for (name, value) in extra {
        fields.append(name.clone(), value.clone());
    }
    let content = match request.post_data {
        Some(PostData { text: Some(text) }) => Some(Bytes::from(text)),
        Some(PostData { text: None }) => {
            return Err("postData has no text, so its content is not known".to_owned());
        }
        None => None,
    };
    Template::new(&method, url, fields, content).map_err(|error| error.to_string())
}

/// The protocol decides about these fields, or the URL and the content do.
fn is_of_connection(name: &HeaderName, value: &HeaderValue) -> bool {
    CONNECTION_SPECIFIC.contains(name)
        || *name == HOST
        || *name == CONTENT_LENGTH
        || *name == TE && value != "trailers"
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str) -> Result<Found, String> {
        let extra = (HeaderName::from_static("x-run"), "1".parse().unwrap());
        of_document(text.as_bytes(), &[extra])
    }

    #[test]
    fn fields_of_the_connection_are_left_out() {
        let found = found(
            r#"{"log": {"entries": [
            {"request": {"method": "POST", "url": "https://a.example/x?y", "headers": [
                {"name": ":authority", "value": "a.example"}, {"name": "Host", "value": "a.example"},
                {"name": "Connection", "value": "keep-alive"}, {"name": "content-length", "value": "9"},
                {"name": "x-run", "value": "0"}, {"name": "Accept", "value": "*/*"}],
                "postData": {"mimeType": "text/plain", "text": "hello"}}},
            {"request": {"method": "GET", "url": "https://b.example/", "headers": []}},
            {"request": {"method": "GET", "url": "data:text/plain,x", "headers": []}}]}}"#,
        )
        .unwrap();
        assert_eq!(found.origin.to_string(), "https://a.example");
        assert_eq!((found.templates.len(), found.elsewhere), (1, 2));
        let template = &found.templates[0];
        let mut fields: Vec<_> = template.head.fields.iter().collect();
        fields.sort_by_key(|(name, _)| name.as_str());
        let fields: Vec<_> = fields
            .into_iter()
            .map(|(name, value)| (name.as_str(), value.to_str().unwrap()))
            .collect();
        let expected = [("accept", "*/*"), ("content-length", "5"), ("x-run", "1")];
        assert_eq!(fields, expected);
        assert_eq!(template.content, "hello");
        let http1 = template.http1();
        assert_eq!(http1.uri(), "/x?y");
        assert_eq!(http1.headers()[HOST], "a.example");
    }

    #[test]
    fn what_cannot_be_sent_is_named_with_its_place() {
        let entry = |request: &str| {
            let text = format!(r#"{{"log": {{"entries": [{{"request": {request}}}]}}}}"#);
            found(&text).map(|_| ()).unwrap_err()
        };
        for (request, named) in [
            (
                r#"{"method": "G T", "url": "http://a.example/"}"#,
                "no method",
            ),
            (
                r#"{"method": "CONNECT", "url": "http://a.example/"}"#,
                "CONNECT",
            ),
            (
                r#"{"method": "POST", "url": "http://a.example/", "postData": {}}"#,
                "no text",
            ),
            (
                r#"{"method": "GET", "url": "http://a.example/", "headers": [{"name": "a b", "value": ""}]}"#,
                "field name \"a b\"",
            ),
        ] {
            let error = entry(request);
            assert!(
                error.contains("entries[0]") && error.contains(named),
                "{error}"
            );
        }
        assert!(entry(r#"{"method": "GET", "url": "file:///x"}"#).contains("no entry has"));
        assert!(found("{}").map(|_| ()).unwrap_err().contains("log"));
    }
}
