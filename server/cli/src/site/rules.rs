//! The operator's rules for the content of responses.

use http::{
    HeaderMap, HeaderValue, Response, StatusCode,
    header::{
        ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
        ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, CACHE_CONTROL,
    },
};

use super::{accept::names_media_type, body::Content, error_page::ErrorPages};

/// Seconds for which a browser remembers that it may ask.
const PREFLIGHT_SECONDS: u16 = 3600;

/// The operator's rules for the content of responses.
#[derive(Clone, Debug, Default)]
pub(crate) struct Rules {
    /// Below the root.
    pub(crate) fallback: Option<String>,
    pub(crate) cache_control: Option<HeaderValue>,
    /// Pages of every origin may read the files.
    pub(crate) cors: bool,
    /// Fields of every response.
    pub(crate) added: HeaderMap,
    pub(crate) error_pages: ErrorPages,
}

impl Rules {
    /// Adds the fields for pages of every origin.
    pub(crate) fn allow_origins(&mut self) {
        self.cors = true;
        for name in [ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_EXPOSE_HEADERS] {
            self.added.insert(name, HeaderValue::from_static("*"));
        }
    }

    /// The answer to a browser that asks whether it may ask.
    pub(crate) fn preflight(&self) -> Response<Content> {
        let mut response = Response::new(Content::empty());
        *response.status_mut() = StatusCode::NO_CONTENT;
        let fields = response.headers_mut();
        let methods = HeaderValue::from_static("GET, HEAD");
        fields.insert(ACCESS_CONTROL_ALLOW_METHODS, methods);
        fields.insert(ACCESS_CONTROL_ALLOW_HEADERS, HeaderValue::from_static("*"));
        fields.insert(ACCESS_CONTROL_MAX_AGE, PREFLIGHT_SECONDS.into());
        response
    }

    /// The file for a request whose path has none: `path` could be a view of an application, and
    /// the client wants a page.
    pub(crate) fn fallback_for(&self, path: &str, request: &HeaderMap) -> Option<String> {
        let fallback = self.fallback.as_ref()?;
        let last = path.rsplit('/').next().unwrap_or_default();
        let wanted = !last.contains('.') && names_media_type(request, "text/html");
        wanted.then(|| fallback.clone())
    }

    /// Completes a response about a file.
    pub(crate) fn finish_file(&self, response: &mut Response<Content>) {
        if let Some(value) = &self.cache_control
            && !response.status().is_client_error()
        {
            response.headers_mut().insert(CACHE_CONTROL, value.clone());
        }
    }

    /// Completes any response.
    pub(crate) fn finish(&self, request: &HeaderMap, response: &mut Response<Content>) {
        if response.status().as_u16() >= 400 {
            self.error_pages.apply(request, response);
        }
        self.add_fields(response.headers_mut());
    }

    /// Completes an error response whose page gives this reason.
    pub(crate) fn finish_with(
        &self,
        request: &HeaderMap,
        response: &mut Response<Content>,
        why: &'static str,
    ) {
        self.error_pages.apply_with(request, response, why);
        self.add_fields(response.headers_mut());
    }

    /// Adds the operator's fields.
    pub(crate) fn add_fields(&self, fields: &mut HeaderMap) {
        for name in self.added.keys() {
            fields.remove(name);
            for value in self.added.get_all(name) {
                fields.append(name, value.clone());
            }
        }
    }
}
