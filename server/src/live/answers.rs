//! The answers of a page.

use std::{
    convert::Infallible,
    future::{Ready, ready},
    task::{Context, Poll},
};

use bytes::Bytes;
use http::{
    HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode,
    header::{
        ALLOW, CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY, RETRY_AFTER,
        X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
    },
};
use http_body_util::{Either, Full};
use tower_service::Service;

use super::{
    events::Events,
    guard::{self, Refused},
};
use crate::{
    RequestBody,
    board::{Board, Standpoint},
};

const HTML: &str = include_str!("answers/page.html");
const STYLE: &str = include_str!("answers/page.css");
const SCRIPT: &str = include_str!("answers/page.js");

/// Nothing but the style and the script of the page may have effect. Each hash is the SHA-256 of
/// its file, which a test compares.
const POLICY: &str = "default-src 'none'; \
style-src 'sha256-xigoPxPIcgLewyGRDbgqnMuS0vwsRv2J5NvzvjTotBo='; \
script-src 'sha256-WO4AL/T21zkCTLMBo4RZ3sJhmUvFP8tWn5abDBGlFsY='; \
connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// The text for one viewer too many.
const TOO_MANY: &str = "16 viewers look at this page already; try again in 5 s\n";

/// Fields of every response.
const FIELDS: [(HeaderName, &str); 5] = [
    (CACHE_CONTROL, "no-store"),
    (REFERRER_POLICY, "no-referrer"),
    (X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (X_FRAME_OPTIONS, "DENY"),
    (
        HeaderName::from_static("cross-origin-resource-policy"),
        "same-origin",
    ),
];

/// The service of a page.
#[derive(Clone, Debug)]
pub(super) struct Answers {
    board: Board,
}

type Answer = Response<Either<Full<Bytes>, Events>>;

impl Answers {
    pub(super) fn new(board: Board) -> Self {
        Self { board }
    }

    fn answer(&self, request: &Request<RequestBody>) -> Answer {
        match guard::check(request.uri(), request.headers()) {
            Ok(()) => {}
            Err(Refused::Host) => {
                return text(
                    StatusCode::MISDIRECTED_REQUEST,
                    "open this page by the IP address of the machine, or by localhost\n",
                );
            }
            Err(Refused::Site) => {
                return text(StatusCode::FORBIDDEN, "another site asked for this\n");
            }
        }
        if !matches!(*request.method(), Method::GET | Method::HEAD) {
            let mut response = text(StatusCode::METHOD_NOT_ALLOWED, "GET and HEAD only\n");
            let methods = HeaderValue::from_static("GET, HEAD");
            response.headers_mut().insert(ALLOW, methods);
            return response;
        }
        match request.uri().path() {
            "/" => self.page(),
            "/events" if request.method() == Method::HEAD => events(Either::Left(Full::default())),
            "/events" => self.events(request),
            _ => text(StatusCode::NOT_FOUND, "here are / and /events\n"),
        }
    }

    fn page(&self) -> Answer {
        let mut title = String::new();
        for letter in self.board.title().chars() {
            match letter {
                '<' => title.push_str("&lt;"),
                '&' => title.push_str("&amp;"),
                // It must not look like one of the places below.
                '{' => title.push_str("&#123;"),
                letter => title.push(letter),
            }
        }
        let standpoint = match self.board.standpoint() {
            Standpoint::End => "end",
            Standpoint::Between => "between",
        };
        let page = HTML
            .replace("{title}", &title)
            .replace("{standpoint}", standpoint)
            .replace("{style}", STYLE)
            .replace("{script}", SCRIPT);
        let mut response = Response::new(Either::Left(Full::from(page)));
        let fields = response.headers_mut();
        insert(fields, CONTENT_TYPE, "text/html; charset=utf-8");
        insert(fields, CONTENT_SECURITY_POLICY, POLICY);
        with_fields(response)
    }

    fn events(&self, request: &Request<RequestBody>) -> Answer {
        let Some(viewer) = self.board.view() else {
            let mut response = text(StatusCode::SERVICE_UNAVAILABLE, TOO_MANY);
            insert(response.headers_mut(), RETRY_AFTER, "5");
            return response;
        };
        let last = request.headers().get("last-event-id");
        let last = last.and_then(|last| last.to_str().ok());
        let query = request.uri().query();
        let after = last.or_else(|| query?.strip_prefix("after="));
        events(Either::Right(Events::new(
            self.board.clone(),
            viewer,
            after.unwrap_or_default(),
        )))
    }
}

impl Service<Request<RequestBody>> for Answers {
    type Response = Answer;
    type Error = Infallible;
    type Future = Ready<Result<Answer, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<RequestBody>) -> Self::Future {
        ready(Ok(self.answer(&request)))
    }
}

fn events(body: Either<Full<Bytes>, Events>) -> Answer {
    let mut response = Response::new(body);
    insert(response.headers_mut(), CONTENT_TYPE, "text/event-stream");
    with_fields(response)
}

fn text(status: StatusCode, text: &'static str) -> Answer {
    let mut response = Response::new(Either::Left(Full::from(text)));
    *response.status_mut() = status;
    insert(
        response.headers_mut(),
        CONTENT_TYPE,
        "text/plain; charset=utf-8",
    );
    with_fields(response)
}

fn with_fields(mut response: Answer) -> Answer {
    for (name, value) in FIELDS {
        insert(response.headers_mut(), name, value);
    }
    response
}

fn insert(fields: &mut HeaderMap, name: HeaderName, value: &'static str) {
    fields.insert(name, HeaderValue::from_static(value));
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;

    use super::*;

    #[test]
    fn the_bound_of_viewers_is_named() {
        assert!(TOO_MANY.starts_with(&format!("{} viewers", crate::board::MAX_VIEWERS)));
    }

    /// Browsers run only what the policy names.
    #[test]
    fn the_policy_names_the_style_and_the_script() {
        for (kind, file) in [("style", STYLE), ("script", SCRIPT)] {
            let digest = ring::digest::digest(&ring::digest::SHA256, file.as_bytes());
            let digest = base64::engine::general_purpose::STANDARD.encode(digest);
            let source = format!("{kind}-src 'sha256-{digest}'");
            assert!(POLICY.contains(&source), "{source}");
        }
        assert!(HTML.contains("<style>{style}</style>"));
        assert!(HTML.contains("<script>{script}</script>"));
    }

    #[test]
    fn the_page_asks_nobody_else() {
        for file in [HTML, STYLE, SCRIPT] {
            let links = file.replace("http://www.w3.org/2000/svg", "");
            assert!(!links.contains("://"));
        }
    }
}
