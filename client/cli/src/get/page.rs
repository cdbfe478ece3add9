//! The assets that an HTML page names.

use std::collections::{BTreeMap, HashSet};

use html5gum::{DefaultEmitter, HtmlString, Token, Tokenizer};
use http::{HeaderMap, Uri, header};
use lacewing_client::Origin;

use super::redirect::resolve;

/// The most assets of one page.
const MAX_ASSETS: usize = 500;

/// The kinds of `link` whose target a browser fetches with the page.
const FETCHED: [&str; 5] = ["stylesheet", "icon", "preload", "modulepreload", "manifest"];

/// What a page needs.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Assets {
    /// Those of its own origin, in their order, each once.
    pub(super) own: Vec<Uri>,
    /// The number of those of other origins.
    pub(super) elsewhere: usize,
    /// The number of those beyond the bound.
    pub(super) beyond: usize,
}

pub(super) fn is_html(fields: &HeaderMap) -> bool {
    let kind = fields.get(header::CONTENT_TYPE);
    let kind = kind.and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim();
    kind.eq_ignore_ascii_case("text/html") || kind.eq_ignore_ascii_case("application/xhtml+xml")
}

/// Finds style sheets, scripts, images and icons. Scripts and style sheets are not read: what they
/// need stays unknown.
pub(super) fn assets(html: &[u8], page: &Uri) -> Assets {
    let mut emitter = DefaultEmitter::<()>::new_with_span();
    // So that the text of a script is none of the page's tags.
    emitter.naively_switch_states(true);
    let mut found = Assets::default();
    let mut seen = HashSet::from([page.clone()]);
    let origin = Origin::of(page).ok();
    let mut base = page.clone();
    let mut has_base = false;
    for token in Tokenizer::new_with_emitter(html, emitter).flatten() {
        let Token::StartTag(tag) = token else {
            continue;
        };
        let value = |name: &str| value(&tag.attributes, name);
        let reference = match tag.name.as_slice() {
            b"base" if !has_base => {
                if let Some(next) = value("href").and_then(|href| resolve(page, &href).ok()) {
                    (base, has_base) = (next, true);
                }
                continue;
            }
            b"link" if is_fetched(&value("rel").unwrap_or_default()) => value("href"),
            b"script" | b"img" => value("src"),
            b"input" if value("type").is_some_and(|kind| kind == "image") => value("src"),
            _ => None,
        };
        let Some(url) = reference.filter(|reference| !reference.trim().is_empty()) else {
            continue;
        };
        // `data:` and malformed references are no requests.
        let Some((url, of)) = resolve(&base, &url)
            .ok()
            .and_then(|url| Origin::of(&url).ok().map(|origin| (url, origin)))
        else {
            continue;
        };
        if !seen.insert(url.clone()) {
            continue;
        }
        if Some(of) != origin {
            found.elsewhere = found.elsewhere.saturating_add(1);
        } else if found.own.len() < MAX_ASSETS {
            found.own.push(url);
        } else {
            found.beyond = found.beyond.saturating_add(1);
        }
    }
    found
}

fn is_fetched(rel: &str) -> bool {
    rel.split_ascii_whitespace()
        .any(|kind| FETCHED.iter().any(|name| name.eq_ignore_ascii_case(kind)))
}

fn value<S>(
    attributes: &BTreeMap<HtmlString, html5gum::Spanned<HtmlString, S>>,
    name: &str,
) -> Option<String>
where
    S: html5gum::SpanBound,
{
    let value = attributes.get(name.as_bytes())?;
    Some(String::from_utf8_lossy(value.value.as_slice()).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(html: &str) -> (Vec<String>, usize) {
        let page = "http://a.example/x/page?q".parse().unwrap();
        let assets = assets(html.as_bytes(), &page);
        let own = assets.own.iter().map(Uri::to_string);
        (own.collect(), assets.elsewhere)
    }

    #[test]
    fn assets_of_the_same_origin_are_found_once_and_in_order() {
        let html = r#"<!doctype html><title><img src=no></title>
            <link REL="preload StyleSheet" href=a.css><link rel=alternate href=no.xml>
            <LINK rel='shortcut icon' href='/i.ico?a=1&amp;b=2'>
            <script src="../s.js">document.write('<img src="no.png">')</script>
            <script>"<img src=no.png>"</script><!-- <img src=no.png> -->
            <img alt="<" src=//a.example/b.png><img src="b c.png#frag"><img src=a.css>
            <img src="data:image/png;base64,AA"><img src=""><img><a href=no.html>x</a>
            <img src=http://other.example/x><img src=https://a.example/x><img src="http://:bad:">
            <input type=image src=button.png><img src="/x/page?q"><img src=last"#;
        let own = [
            "http://a.example/x/a.css",
            "http://a.example/i.ico?a=1&b=2",
            "http://a.example/s.js",
            "http://a.example/b.png",
            "http://a.example/x/b%20c.png",
            "http://a.example/x/button.png",
        ];
        assert_eq!(found(html), (own.map(str::to_owned).to_vec(), 2));
    }

    #[test]
    fn the_first_base_counts() {
        let html = "<base href=/y/><base href=/z/><img src=1><base href=http://b.example/>";
        assert_eq!(found(html).0, ["http://a.example/y/1"]);
        let html = "<base href=http://b.example/><img src=1>";
        assert_eq!(found(html), (Vec::new(), 1));
    }

    #[test]
    fn the_number_has_a_bound() {
        let html: String = (0..MAX_ASSETS + 7)
            .map(|number| format!("<img src={number}>"))
            .collect();
        let assets = assets(html.as_bytes(), &"http://a.example/".parse().unwrap());
        assert_eq!((assets.own.len(), assets.beyond), (MAX_ASSETS, 7));
    }
}
