//! The service: files by tower-http, directories as pages of our own.

use std::{
    convert::Infallible,
    future::Future,
    io,
    path::Path,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use bytes::Bytes;
use http::{
    HeaderValue, Method, Request, Response, StatusCode,
    header::{ALLOW, CONTENT_SECURITY_POLICY, CONTENT_TYPE, X_CONTENT_TYPE_OPTIONS},
};
use http_body::{Body, Frame, SizeHint};
use lacewing_server::RequestBody;
use tower_http::services::{ServeDir, fs::ServeFileSystemResponseBody};
use tower_service::Service;

use crate::listing::{self, Directory};

/// Serves one directory and everything below.
#[derive(Clone)]
pub(crate) struct Site {
    root: Arc<Path>,
    files: ServeDir,
}

impl Site {
    pub(crate) fn new(root: &Path) -> Self {
        Self {
            root: root.into(),
            files: ServeDir::new(root),
        }
    }
}

impl Service<Request<RequestBody>> for Site {
    type Response = Response<Page>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<RequestBody>) -> Self::Future {
        if !matches!(*request.method(), Method::GET | Method::HEAD) {
            return Box::pin(std::future::ready(Ok(not_allowed())));
        }
        let root = Arc::clone(&self.root);
        let mut files = self.files.clone();
        Box::pin(async move {
            let path = request.uri().path();
            if path.ends_with('/') {
                let path = path.to_owned();
                let reading = tokio::task::spawn_blocking(move || listing::read(&root, &path));
                match reading.await {
                    Ok(Ok(Directory::Page(page))) => return Ok(html(page)),
                    Ok(Ok(Directory::Other)) => {}
                    Ok(Err(error)) => return Ok(unreadable(&error)),
                    Err(_) => return Ok(status(StatusCode::INTERNAL_SERVER_ERROR)),
                }
            }
            // The body of a GET is of no use; it is dropped before the answer.
            let request = request.map(drop).map(|()| RequestBody::empty());
            files
                .call(request)
                .await
                .map(|response| response.map(Page::File))
        })
    }
}

/// The body of a response: a page that we made, or a file.
pub(crate) enum Page {
    Made(Option<Bytes>),
    File(ServeFileSystemResponseBody),
}

impl Body for Page {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        match self.get_mut() {
            Self::Made(page) => Poll::Ready(page.take().map(|page| Ok(Frame::data(page)))),
            Self::File(file) => Pin::new(file).poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Made(page) => page.as_ref().is_none_or(Bytes::is_empty),
            Self::File(file) => file.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Made(page) => {
                SizeHint::with_exact(page.as_ref().map_or(0, |page| page.len() as u64))
            }
            Self::File(file) => file.size_hint(),
        }
    }
}

fn html(page: String) -> Response<Page> {
    let mut response = Response::new(Page::Made(Some(page.into())));
    let fields = response.headers_mut();
    fields.insert(
        CONTENT_TYPE,
        HeaderValue::from_static("text/html; charset=utf-8"),
    );
    // Names of files are escaped. This is for the day when one is not.
    let policy = HeaderValue::from_static("default-src 'none'; style-src 'unsafe-inline'");
    fields.insert(CONTENT_SECURITY_POLICY, policy);
    fields.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

fn status(status: StatusCode) -> Response<Page> {
    let text = format!("{status}\n");
    let mut response = Response::new(Page::Made(Some(text.into())));
    *response.status_mut() = status;
    let plain = HeaderValue::from_static("text/plain; charset=utf-8");
    response.headers_mut().insert(CONTENT_TYPE, plain);
    response
}

fn not_allowed() -> Response<Page> {
    let mut response = status(StatusCode::METHOD_NOT_ALLOWED);
    response
        .headers_mut()
        .insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
    response
}

fn unreadable(error: &io::Error) -> Response<Page> {
    status(match error.kind() {
        // Not to be told from what is not there.
        io::ErrorKind::NotFound | io::ErrorKind::PermissionDenied => StatusCode::NOT_FOUND,
        _ => StatusCode::INTERNAL_SERVER_ERROR,
    })
}
