//! `--write-out`: text with variables, as curl has them.

use std::{
    path::PathBuf,
    time::{Duration, Instant},
};

use http::{HeaderName, Method, Uri};
use lacewing_client::Origin;

use super::{answer::Answer, dials::DialTimes, record::Exchange};
use crate::{capture::Captured, console, status::Failure};

/// The variables, for an error and for `%{json}`.
const VARIABLES: [&str; 28] = [
    "content_type",
    "errormsg",
    "exitcode",
    "filename_effective",
    "header_json",
    "http_code",
    "http_version",
    "json",
    "method",
    "num_headers",
    "num_redirects",
    "onerror",
    "redirect_url",
    "remote_ip",
    "remote_port",
    "response_code",
    "scheme",
    "size_download",
    "size_upload",
    "speed_download",
    "speed_upload",
    "time_appconnect",
    "time_connect",
    "time_namelookup",
    "time_pretransfer",
    "time_redirect",
    "time_starttransfer",
    "time_total",
];

/// The variables that are no part of `%{json}`, or end the list.
const OTHERS: [&str; 5] = ["stderr", "stdout", "url", "url_effective", "urlnum"];

/// A format that was checked.
#[derive(Clone, Debug)]
pub(super) struct Format(Vec<Piece>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Text(String),
    Variable(String),
    Header(HeaderName),
}

/// What is known about a fetch.
#[derive(Debug)]
pub(super) struct Facts {
    pub(super) url: Uri,
    pub(super) number: usize,
    pub(super) method: Method,
    pub(super) effective: Uri,
    /// The informational responses before it.
    pub(super) early: Vec<Answer>,
    pub(super) answer: Option<Answer>,
    pub(super) redirects: u32,
    pub(super) redirect_url: Option<String>,
    pub(super) downloaded: u64,
    pub(super) uploaded: u64,
    pub(super) file: Option<PathBuf>,
    /// The file of the try before, which this one may overwrite.
    pub(super) earlier_file: Option<PathBuf>,
    /// The page whose assets are to be fetched.
    pub(super) page: Option<Captured>,
    /// Something was written that cannot be taken back.
    pub(super) committed: bool,
    pub(super) times: Times,
    pub(super) dial: Option<DialTimes>,
    pub(super) failure: Option<(u8, String)>,
    /// The request that is under way.
    pub(super) exchange: Option<Exchange>,
}

/// The instants of a fetch.
#[derive(Clone, Copy, Debug)]
pub(super) struct Times {
    pub(super) start: Instant,
    /// The last request, after redirects.
    pub(super) request: Instant,
    pub(super) answered: Option<Instant>,
    pub(super) end: Option<Instant>,
}

impl Format {
    /// Reads the option's text, or the file that it names.
    pub(super) fn new(option: &str) -> Result<Self, Failure> {
        let text = match option.strip_prefix('@') {
            Some("-") => std::io::read_to_string(std::io::stdin()),
            Some(path) => std::fs::read_to_string(path),
            None => Ok(option.to_owned()),
        };
        let failed = |error| Failure::unreadable(format!("cannot read {option}: {error}"));
        Self::parse(&text.map_err(failed)?).map_err(Failure::usage)
    }

    fn parse(text: &str) -> Result<Self, String> {
        let mut pieces = Vec::new();
        let mut plain = String::new();
        let mut rest = text;
        while let Some(first) = rest.chars().next() {
            let two: String = rest.chars().take(2).collect();
            let (escape, length) = match two.as_str() {
                "%%" => (Some('%'), 2),
                "\\n" => (Some('\n'), 2),
                "\\r" => (Some('\r'), 2),
                "\\t" => (Some('\t'), 2),
                _ => (None, first.len_utf8()),
            };
            if let Some(escape) = escape {
                plain.push(escape);
                rest = rest.get(length..).unwrap_or_default();
                continue;
            }
            let variable = rest
                .strip_prefix("%{")
                .and_then(|rest| rest.split_once('}'));
            let header = rest
                .strip_prefix("%header{")
                .and_then(|rest| rest.split_once('}'));
            if let Some((name, after)) = variable.or(header) {
                pieces.push(Piece::Text(std::mem::take(&mut plain)));
                pieces.push(match header {
                    Some(_) => Piece::Header(name.parse().map_err(|_| {
                        format!("%header{{{name}}} of --write-out is no header field name")
                    })?),
                    None if VARIABLES.contains(&name) || OTHERS.contains(&name) => {
                        Piece::Variable(name.to_owned())
                    }
                    None => {
                        return Err(format!(
                            "--write-out has no variable {name:?}; it has {}, {}, and \
                             %header{{name}}",
                            VARIABLES.join(", "),
                            OTHERS.join(", ")
                        ));
                    }
                });
                rest = after;
                continue;
            }
            plain.push(first);
            rest = rest.get(length..).unwrap_or_default();
        }
        pieces.push(Piece::Text(plain));
        Ok(Self(pieces))
    }

    /// Prints it, on stdout until `%{stderr}`.
    pub(super) fn print(&self, facts: &Facts) -> Result<(), Failure> {
        let (mut out, mut err) = (String::new(), String::new());
        let mut to_stderr = false;
        for piece in &self.0 {
            let text = match piece {
                Piece::Text(text) => text.clone(),
                Piece::Header(name) => facts.field(name.as_str()),
                Piece::Variable(name) => match name.as_str() {
                    "stderr" | "stdout" => {
                        to_stderr = name == "stderr";
                        continue;
                    }
                    "onerror" if facts.failure.is_none() => break,
                    "onerror" => continue,
                    name => facts.variable(name),
                },
            };
            if to_stderr {
                err.push_str(&text);
            } else {
                out.push_str(&text);
            }
        }
        if !err.is_empty() {
            console::eprint(err);
        }
        match out.is_empty() {
            true => Ok(()),
            false => console::print(out),
        }
    }
}

impl Facts {
    pub(super) fn new(url: &Uri, number: usize) -> Self {
        let now = Instant::now();
        Self {
            url: url.clone(),
            number,
            method: Method::GET,
            effective: url.clone(),
            early: Vec::new(),
            answer: None,
            redirects: 0,
            redirect_url: None,
            downloaded: 0,
            uploaded: 0,
            file: None,
            earlier_file: None,
            page: None,
            committed: false,
            times: Times {
                start: now,
                request: now,
                answered: None,
                end: None,
            },
            dial: None,
            failure: None,
            exchange: None,
        }
    }

    /// Takes the request that was under way, with what is known about it now.
    pub(super) fn end_exchange(&mut self) -> Option<Exchange> {
        let mut exchange = self.exchange.take()?;
        exchange.end = Instant::now();
        exchange.dial = self.dial;
        exchange.uploaded = self.uploaded;
        if exchange.answered.is_some() {
            exchange.answer.clone_from(&self.answer);
            exchange.downloaded = self.downloaded;
        }
        exchange.error = self.failure.as_ref().map(|(_, text)| text.clone());
        Some(exchange)
    }

    fn field(&self, name: &str) -> String {
        let value = self
            .answer
            .as_ref()
            .and_then(|answer| answer.fields.get(name));
        value.map_or_else(String::new, |value| {
            String::from_utf8_lossy(value.as_bytes()).into_owned()
        })
    }

    fn seconds(&self, name: &str) -> Duration {
        let since = |at: Option<Instant>| {
            at.map_or(Duration::ZERO, |at| {
                at.saturating_duration_since(self.times.start)
            })
        };
        // A connection that was there before costs no time, as in curl.
        let dial = self.dial.filter(|dial| dial.start >= self.times.request);
        let ready = dial.and_then(|dial| dial.ready);
        let tls = Origin::of(&self.effective)
            .is_ok_and(|origin| origin.security() == lacewing_client::Security::Tls);
        match name {
            "time_namelookup" => since(dial.map(|dial| dial.resolved.unwrap_or(dial.start))),
            "time_connect" => since(dial.and_then(|dial| dial.connected)),
            "time_appconnect" if tls => since(ready),
            "time_appconnect" => Duration::ZERO,
            "time_pretransfer" => since(Some(ready.unwrap_or(self.times.request))),
            "time_redirect" if self.redirects > 0 => since(Some(self.times.request)),
            "time_redirect" => Duration::ZERO,
            "time_starttransfer" => since(self.times.answered),
            _ => since(self.times.end),
        }
    }

    fn variable(&self, name: &str) -> String {
        let answer = self.answer.as_ref();
        let code = || answer.map_or(0, |answer| answer.status.as_u16());
        let speed = |bytes: u64| {
            let micros = self.seconds("time_total").as_micros().max(1);
            u128::from(bytes)
                .saturating_mul(1_000_000)
                .checked_div(micros)
                .unwrap_or(0)
                .to_string()
        };
        let address = self.dial.and_then(|dial| dial.address);
        match name {
            "content_type" => self.field("content-type"),
            "errormsg" => self
                .failure
                .as_ref()
                .map_or_else(String::new, |(_, text)| text.clone()),
            "exitcode" => self
                .failure
                .as_ref()
                .map_or(0, |(code, _)| *code)
                .to_string(),
            "filename_effective" => self
                .file
                .as_ref()
                .map_or_else(String::new, |file| file.display().to_string()),
            "header_json" => self.header_json(),
            "http_code" | "response_code" => format!("{:03}", code()),
            "http_version" => self.protocol(),
            "json" => self.json(),
            "method" => self.method.to_string(),
            "num_headers" => answer.map_or(0, |answer| answer.fields.len()).to_string(),
            "num_redirects" => self.redirects.to_string(),
            "redirect_url" => self.redirect_url.clone().unwrap_or_default(),
            "remote_ip" => address.map_or_else(String::new, |address| address.ip().to_string()),
            "remote_port" => address.map_or_else(String::new, |address| address.port().to_string()),
            "scheme" => self.effective.scheme_str().unwrap_or_default().to_owned(),
            "size_download" => self.downloaded.to_string(),
            "size_upload" => self.uploaded.to_string(),
            "speed_download" => speed(self.downloaded),
            "speed_upload" => speed(self.uploaded),
            "url" => self.url.to_string(),
            "url_effective" => self.effective.to_string(),
            "urlnum" => self.number.to_string(),
            name => {
                let time = self.seconds(name);
                format!("{}.{:06}", time.as_secs(), time.subsec_micros())
            }
        }
    }

    /// `2` and `1.1` as in curl; SPDY by its name.
    fn protocol(&self) -> String {
        let Some(answer) = &self.answer else {
            return "0".to_owned();
        };
        let version = self.dial.and_then(|dial| dial.version);
        match (answer.version, version) {
            (http::Version::HTTP_2, _) => "2".to_owned(),
            (_, Some(version)) => version.alpn().to_owned(),
            (http::Version::HTTP_10, None) => "1.0".to_owned(),
            (_, None) => "1.1".to_owned(),
        }
    }

    fn header_json(&self) -> String {
        let mut all = serde_json::Map::new();
        if let Some(answer) = &self.answer {
            for name in answer.fields.keys() {
                let values = answer.fields.get_all(name).iter();
                let values = values.map(|value| String::from_utf8_lossy(value.as_bytes()).into());
                all.insert(name.to_string(), serde_json::Value::Array(values.collect()));
            }
        }
        serde_json::Value::Object(all).to_string()
    }

    /// All variables: numbers as numbers.
    fn json(&self) -> String {
        let mut all = serde_json::Map::new();
        let names = VARIABLES.iter().chain(&OTHERS);
        for name in names.filter(|name| {
            !matches!(
                **name,
                "json" | "header_json" | "onerror" | "stderr" | "stdout"
            )
        }) {
            let text = self.variable(name);
            let is_number = !matches!(
                *name,
                "http_version"
                    | "remote_ip"
                    | "errormsg"
                    | "url"
                    | "url_effective"
                    | "redirect_url"
                    | "filename_effective"
                    | "content_type"
            );
            let number =
                is_number
                    .then(|| text.trim_start_matches('0'))
                    .map(|trimmed| match trimmed {
                        "" => "0".to_owned(),
                        fraction if fraction.starts_with('.') => format!("0{fraction}"),
                        number => number.to_owned(),
                    });
            let number =
                number.and_then(|number| serde_json::from_str::<serde_json::Number>(&number).ok());
            let value = match number {
                Some(number) => serde_json::Value::Number(number),
                None if text.is_empty() => serde_json::Value::Null,
                None => serde_json::Value::String(text),
            };
            all.insert((*name).to_owned(), value);
        }
        serde_json::Value::Object(all).to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_format_is_checked_before_anything_is_fetched() {
        let Format(pieces) = Format::parse("a%%%{http_code}\\n%header{ETag}b%").unwrap();
        let text = |text: &str| Piece::Text(text.to_owned());
        let expected = [
            text("a%"),
            Piece::Variable("http_code".into()),
            text("\n"),
            Piece::Header("etag".parse().unwrap()),
            text("b%"),
        ];
        assert_eq!(pieces, expected);
        assert!(
            Format::parse("%{no_such}")
                .unwrap_err()
                .contains("time_total")
        );
    }

    #[test]
    fn every_variable_has_a_value_and_json_is_json() {
        let facts = Facts::new(&"https://a.example/x".parse().unwrap(), 0);
        for name in VARIABLES {
            let _ = facts.variable(name);
        }
        let json: serde_json::Value = serde_json::from_str(&facts.json()).unwrap();
        assert_eq!(json["response_code"], 0);
        assert_eq!(json["time_total"], 0.0);
        assert_eq!(json["scheme"], "https");
        assert!(json["remote_ip"].is_null());
    }
}
