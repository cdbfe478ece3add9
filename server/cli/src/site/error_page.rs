//! The pages of error responses: the operator's, or short ones that say what happened.

use std::{collections::HashMap, fs::File, io::Read, path::Path};

use bytes::Bytes;
use http::{
    HeaderMap, HeaderValue, Response, StatusCode,
    header::{CONTENT_TYPE, VARY, X_CONTENT_TYPE_OPTIONS},
};

use super::{accept::media_weight, body::Content};
use crate::files::content_type_of;

/// The length of an operator's page.
const MAX_PAGE: u64 = 1 << 20;

/// The operator's pages for error statuses.
#[derive(Clone, Debug, Default)]
pub(crate) struct ErrorPages(HashMap<StatusCode, (HeaderValue, Bytes)>);

impl ErrorPages {
    /// Reads a page.
    pub(crate) fn read(&mut self, status: StatusCode, path: &Path) -> Result<(), String> {
        let failed = |error| {
            let status = status.as_u16();
            format!("--error-page {status}={}: {error}", path.display())
        };
        let file = File::open(path).map_err(|error| failed(error.to_string()))?;
        let mut page = Vec::new();
        file.take(MAX_PAGE + 1)
            .read_to_end(&mut page)
            .map_err(|error| failed(error.to_string()))?;
        if page.len() as u64 > MAX_PAGE {
            return Err(failed(format!("the file is longer than {MAX_PAGE} bytes")));
        }
        let content_type = content_type_of(path, &page);
        self.0.insert(status, (content_type, page.into()));
        Ok(())
    }

    /// Gives an error response its page. Without a page of the operator, it is HTML if the client
    /// prefers that to text.
    pub(crate) fn apply(&self, request: &HeaderMap, response: &mut Response<Content>) {
        let why = explanation(response.status());
        self.apply_with(request, response, why);
    }

    /// The same, with another reason on the page: a sentence in plain text.
    pub(crate) fn apply_with(
        &self,
        request: &HeaderMap,
        response: &mut Response<Content>,
        why: &'static str,
    ) {
        let status = response.status();
        let custom = self.0.get(&status).cloned();
        let (content_type, page) = custom.unwrap_or_else(|| {
            response
                .headers_mut()
                .insert(VARY, HeaderValue::from_static("accept"));
            built_in(request, status, why)
        });
        *response.body_mut() = Content::bytes(page);
        let fields = response.headers_mut();
        fields.insert(CONTENT_TYPE, content_type);
        fields.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    }
}

fn built_in(request: &HeaderMap, status: StatusCode, why: &str) -> (HeaderValue, Bytes) {
    let weight = |media_type| media_weight(request, media_type);
    if weight("text/html") <= weight("text/plain") {
        let plain = HeaderValue::from_static("text/plain; charset=utf-8");
        return (plain, format!("{status}\n{why}\n").into());
    }
    let page = format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width\">\n<title>{status}</title>\n\
         <style>:root{{color-scheme:light dark}}body{{font:1rem/1.5 system-ui,sans-serif;\
         max-width:40rem;margin:0 auto;padding:1rem}}h1{{font-size:1.3rem}}</style>\n</head>\n\
         <body>\n<h1>{status}</h1>\n<p>{why}</p>\n</body>\n</html>\n"
    );
    let html = HeaderValue::from_static("text/html; charset=utf-8");
    (html, page.into())
}

fn explanation(status: StatusCode) -> &'static str {
    match status.as_u16() {
        400 => "The path of the request is malformed.",
        403 => "The server may not read this file.",
        404 => "There is no such file here.",
        405 => "Files can only be read here, by GET and HEAD.",
        412 => "The file is not the one that the request has a condition for.",
        416 => "The file has no such range.",
        421 => "This server is not responsible for the host of the request.",
        503 => "The server is busy. Try again in a moment.",
        _ => "The server failed. Its log has the reason.",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_status_has_a_reason_in_the_form_that_the_client_prefers() {
        let mut request = HeaderMap::new();
        for status in [400, 403, 404, 405, 412, 416, 421, 500, 503] {
            let status = StatusCode::from_u16(status).unwrap();
            let (content_type, page) = built_in(&request, status, explanation(status));
            assert_eq!(content_type, "text/plain; charset=utf-8");
            assert!(page.starts_with(format!("{status}\n").as_bytes()));
        }
        let browser = "text/html,application/xhtml+xml,*/*;q=0.8";
        request.insert("accept", HeaderValue::from_static(browser));
        let (content_type, page) = built_in(
            &request,
            StatusCode::NOT_FOUND,
            explanation(StatusCode::NOT_FOUND),
        );
        assert_eq!(content_type, "text/html; charset=utf-8");
        let page = String::from_utf8(page.to_vec()).unwrap();
        assert!(
            page.contains("<h1>404 Not Found</h1>\n<p>There is no such file"),
            "{page}"
        );
    }

    #[test]
    fn a_page_that_is_absent_or_too_long_is_named() {
        let read = |path| {
            let pages = &mut ErrorPages::default();
            pages
                .read(StatusCode::NOT_FOUND, Path::new(path))
                .unwrap_err()
        };
        let error = read("/nonexistent/404.html");
        assert!(
            error.contains("--error-page 404=/nonexistent/404.html: "),
            "{error}"
        );
        let error = read("/dev/zero");
        assert!(error.contains("longer than 1048576 bytes"), "{error}");
    }
}
