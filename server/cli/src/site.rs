//! The service: answers each request with a file, a page, or a refusal.

mod accept;
mod answer;
mod authority;
pub(crate) mod body;
mod coding;
mod compression;
mod error_page;
mod rules;

use std::{
    borrow::Cow,
    convert::Infallible,
    future::Future,
    path::Path,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use http::{
    HeaderMap, HeaderValue, Method, Request, Response, StatusCode, Uri,
    header::{
        ALLOW, CACHE_CONTROL, CONTENT_LENGTH, CONTENT_SECURITY_POLICY, CONTENT_TYPE, LOCATION,
        RETRY_AFTER, VARY, X_CONTENT_TYPE_OPTIONS,
    },
};
use lacewing_server::{Alarm, RequestBody};
use tokio::time::interval;
use tower_service::Service;
use tracing::warn;

use self::{
    answer::{Asked, answer},
    body::{Content, Piece},
};
pub(crate) use self::{
    authority::Names, coding::Coding, compression::Compressor, error_page::ErrorPages, rules::Rules,
};
use crate::{
    complaints::Complaints,
    disk::{Disk, IDLE_HANDLE, Links, Root},
    failure::Failure,
    files::{Entry, Files, Found, Varies},
    listing::{self, Format, Listings, View},
    target::{Hidden, Target},
};

/// The `retry-after` of a response that met a limit, in seconds.
const RETRY_SECONDS: u16 = 1;

/// The rules for what is served, and the limit of open files.
#[derive(Clone, Debug)]
pub(crate) struct Policy {
    pub(crate) links: Links,
    pub(crate) hidden: Hidden,
    pub(crate) max_open_files: usize,
    /// The names of files that are served in place of their directory.
    pub(crate) index: Vec<String>,
    pub(crate) rules: Rules,
    /// The codings of files beside those that are asked for.
    pub(crate) precompressed: Vec<Coding>,
    pub(crate) compression: Compression,
}

/// Compression while a response is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Compression {
    Off,
    On,
}

/// Serves one directory and everything below.
#[derive(Clone)]
pub(crate) struct Site(Arc<Shared>);

struct Shared {
    hidden: Hidden,
    rules: Rules,
    names: Names,
    precompressed: Vec<Coding>,
    compressor: Option<Compressor>,
    disk: Arc<Disk>,
    files: Arc<Files>,
    listings: Arc<Listings>,
    complaints: Complaints,
}

impl Site {
    /// `root` has no links in it.
    pub(crate) fn new(root: &Path, policy: Policy, names: Names) -> Self {
        let root = Arc::new(Root::new(root, policy.links));
        let disk = Arc::new(Disk::new(policy.max_open_files));
        let varies = match policy.compression {
            _ if !policy.precompressed.is_empty() => Varies::Always,
            Compression::On => Varies::Text,
            Compression::Off => Varies::Never,
        };
        let compressor = (policy.compression == Compression::On).then(Compressor::default);
        Self(Arc::new(Shared {
            hidden: policy.hidden,
            rules: policy.rules,
            names,
            precompressed: policy.precompressed,
            compressor,
            files: Arc::new(Files::new(
                Arc::clone(&root),
                Arc::clone(&disk),
                policy.index,
                varies,
            )),
            listings: Arc::new(Listings::new(root, Arc::clone(&disk), policy.hidden)),
            disk,
            complaints: Complaints::default(),
        }))
    }

    /// Closes idle files, frees their buffers, and sets the alarm while file handles are short, until the last response
    /// from a file has ended.
    pub(crate) fn maintain_handles(
        &self,
        alarm: Alarm,
    ) -> impl Future<Output = ()> + Send + 'static {
        let disk = Arc::downgrade(&self.0.disk);
        let files = Arc::downgrade(&self.0.files);
        async move {
            let mut ticks = interval(IDLE_HANDLE);
            loop {
                ticks.tick().await;
                let Some(disk) = disk.upgrade() else { return };
                disk.handles.close_idle(IDLE_HANDLE);
                if let Some(files) = files.upgrade() {
                    files.free_pieces();
                }
                alarm.set(disk.is_near_capacity());
            }
        }
    }
}

impl Service<Request<RequestBody>> for Site {
    type Response = Response<Content>;
    type Error = Infallible;
    type Future = Answering;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<RequestBody>) -> Answering {
        if self
            .0
            .names
            .is_misdirected(&request, request.body().connection())
        {
            let response = status_page(StatusCode::MISDIRECTED_REQUEST);
            return self.0.at_once(request.headers(), response);
        }
        // The body of a GET has no meaning here; it is dropped at once.
        let (head, _) = request.into_parts();
        if !matches!(head.method, Method::GET | Method::HEAD) {
            let response = if self.0.rules.cors && head.method == Method::OPTIONS {
                self.0.rules.preflight()
            } else {
                not_allowed()
            };
            return self.0.at_once(&head.headers, response);
        }
        let shared = &self.0;
        let target = match Target::parse(head.uri.path(), shared.hidden) {
            Ok(target) => target,
            Err(failure) => return shared.at_once(&head.headers, shared.refuse(&failure)),
        };
        let index;
        let path = if target.directory {
            index = shared.files.first_index(&target.path);
            &index
        } else {
            &*target.path
        };
        if let Some((entry, path)) = shared.remembered(path, &head.headers) {
            let asked = Asked {
                method: &head.method,
                fields: &head.headers,
            };
            let mut response = answer(&shared.files, asked, &path, &entry);
            shared.rules.finish_file(&mut response);
            shared.compress(&head.method, &head.headers, &mut response);
            return shared.at_once(&head.headers, response);
        }
        let path = target.path.into_owned();
        let looking = Arc::clone(shared).look(head.method, head.uri, head.headers, path);
        Answering(Kind::Later(Box::pin(async { Ok(looking.await) })))
    }
}

impl Shared {
    /// Completes a response that waits for nothing.
    fn at_once(&self, fields: &HeaderMap, mut response: Response<Content>) -> Answering {
        self.rules.finish(fields, &mut response);
        Answering::now(response)
    }

    async fn look(
        self: Arc<Self>,
        method: Method,
        uri: Uri,
        fields: HeaderMap,
        path: String,
    ) -> Response<Content> {
        let mut response = self.look_at_disk(&method, &uri, &fields, path).await;
        self.compress(&method, &fields, &mut response);
        self.rules.finish(&fields, &mut response);
        response
    }

    async fn look_at_disk(
        &self,
        method: &Method,
        uri: &Uri,
        fields: &HeaderMap,
        path: String,
    ) -> Response<Content> {
        let directory = uri.path().ends_with('/');
        let found = match self.files.find(path.clone(), directory).await {
            Ok(found) => found,
            Err(failure) => return self.instead(&failure, method, uri, fields).await,
        };
        match found {
            Found::File(entry, path) => {
                let (entry, path) = self.in_coding(entry, path, fields).await;
                let asked = Asked { method, fields };
                let mut response = answer(&self.files, asked, &path, &entry);
                self.rules.finish_file(&mut response);
                response
            }
            Found::Directory(_) if !directory => redirect(uri, self.hidden),
            Found::Directory(identity) => {
                let format = format(fields);
                let view = View::of(format, uri.query());
                match self.listings.page(&path, identity, view).await {
                    Ok(rows) => {
                        let (top, end) = (listing::top(&path, format), listing::end(format));
                        page(method, format, [top.into(), rows, end.into()])
                    }
                    Err(failure) => self.refuse(&failure),
                }
            }
        }
    }

    /// A file in memory, in the coding that the client prefers.
    fn remembered<'a>(
        &self,
        path: &'a str,
        fields: &HeaderMap,
    ) -> Option<(Arc<Entry>, Cow<'a, str>)> {
        let plain = self.files.remembered(path)?;
        let Some(coding) = self.accepted(fields).first().copied() else {
            return Some((plain, path.into()));
        };
        // If it is not there, the next one may be: the disk knows.
        let path = format!("{path}{}", coding.ending());
        let coded = self.files.remembered(&path)?;
        let entry = coded.in_coding(&plain, &coding.value())?;
        Some((Arc::new(entry), path.into()))
    }

    /// The file beside this one in the coding that the client prefers, if there is one.
    async fn in_coding(
        &self,
        plain: Arc<Entry>,
        path: String,
        fields: &HeaderMap,
    ) -> (Arc<Entry>, String) {
        for coding in self.accepted(fields) {
            let beside = format!("{path}{}", coding.ending());
            if let Ok(Found::File(coded, beside)) = self.files.find(beside, false).await
                && let Some(entry) = coded.in_coding(&plain, &coding.value())
            {
                return (Arc::new(entry), beside);
            }
        }
        (plain, path)
    }

    /// The codings of files that the client accepts.
    fn accepted(&self, fields: &HeaderMap) -> Vec<Coding> {
        match &*self.precompressed {
            [] => Vec::new(),
            offered => Coding::accepted(fields, offered),
        }
    }

    fn compress(&self, method: &Method, fields: &HeaderMap, response: &mut Response<Content>) {
        if let Some(compressor) = &self.compressor {
            compressor.apply(method, fields, response);
        }
    }

    /// The response to a failure, or the fallback for a file that does not exist. A view of an
    /// application may become a file later, so the fallback is not kept without a check.
    async fn instead(
        &self,
        failure: &Failure,
        method: &Method,
        uri: &Uri,
        fields: &HeaderMap,
    ) -> Response<Content> {
        let fallback = match failure {
            Failure::NotFound => self.rules.fallback_for(uri.path(), fields),
            _ => None,
        };
        let Some(fallback) = fallback else {
            return self.refuse(failure);
        };
        match self.files.find(fallback, false).await {
            Ok(Found::File(entry, path)) => {
                let (entry, path) = self.in_coding(entry, path, fields).await;
                let asked = Asked { method, fields };
                let mut response = answer(&self.files, asked, &path, &entry);
                let no_cache = HeaderValue::from_static("no-cache");
                response.headers_mut().insert(CACHE_CONTROL, no_cache);
                response
            }
            Ok(Found::Directory(_)) => self.refuse(failure),
            Err(failure) => self.refuse(&failure),
        }
    }

    /// The response to a failure. Limits and the server's own failures are
    /// logged.
    fn refuse(&self, failure: &Failure) -> Response<Content> {
        let mut response = status_page(failure.status());
        match failure {
            Failure::Busy(_) => {
                let fields = response.headers_mut();
                fields.insert(RETRY_AFTER, RETRY_SECONDS.into());
                self.complain(failure);
            }
            Failure::Internal(_) => self.complain(failure),
            _ => {}
        }
        response
    }

    fn complain(&self, failure: &Failure) {
        if self.complaints.are_due() {
            warn!("answered with {}: {failure}", failure.status().as_u16());
        }
    }
}

/// A response from memory, or one that waits for the disk.
pub(crate) struct Answering(Kind);

enum Kind {
    Now(Option<Response<Content>>),
    Later(Pin<Box<dyn Future<Output = Result<Response<Content>, Infallible>> + Send>>),
}

impl Answering {
    fn now(response: Response<Content>) -> Self {
        Self(Kind::Now(Some(response)))
    }
}

impl Future for Answering {
    type Output = Result<Response<Content>, Infallible>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match &mut self.get_mut().0 {
            Kind::Now(response) => response
                .take()
                .map_or(Poll::Pending, |response| Poll::Ready(Ok(response))),
            Kind::Later(looking) => looking.as_mut().poll(cx),
        }
    }
}

/// A page with a status in words.
pub(crate) fn status_page(status: StatusCode) -> Response<Content> {
    let text = format!("{status}\n");
    let mut response = Response::new(Content::bytes(text));
    *response.status_mut() = status;
    let plain = HeaderValue::from_static("text/plain; charset=utf-8");
    response.headers_mut().insert(CONTENT_TYPE, plain);
    response
}

fn not_allowed() -> Response<Content> {
    let mut response = status_page(StatusCode::METHOD_NOT_ALLOWED);
    response
        .headers_mut()
        .insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
    response
}

fn redirect(uri: &Uri, hidden: Hidden) -> Response<Content> {
    let location = Target::parse(uri.path(), hidden).ok().and_then(|target| {
        let mut location = target.with_slash();
        if let Some(query) = uri.query() {
            location.push('?');
            location.push_str(query);
        }
        HeaderValue::try_from(location).ok()
    });
    let Some(location) = location else {
        return status_page(StatusCode::NOT_FOUND);
    };
    let mut response = status_page(StatusCode::TEMPORARY_REDIRECT);
    response.headers_mut().insert(LOCATION, location);
    response
}

/// JSON if the client prefers it.
fn format(fields: &HeaderMap) -> Format {
    let weight = |media_type| accept::media_weight(fields, media_type);
    if weight("application/json") > weight("text/html") {
        Format::Json
    } else {
        Format::Html
    }
}

fn page<const N: usize>(
    method: &Method,
    format: Format,
    pieces: [bytes::Bytes; N],
) -> Response<Content> {
    let content = Content::pieces(pieces.map(Piece::Bytes).into(), None);
    let len = content.len();
    let mut response = Response::new(if method == Method::HEAD {
        Content::empty()
    } else {
        content
    });
    let fields = response.headers_mut();
    let content_type = match format {
        Format::Html => "text/html; charset=utf-8",
        Format::Json => "application/json",
    };
    fields.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    fields.insert(VARY, HeaderValue::from_static("accept"));
    if let Some(len) = len {
        fields.insert(CONTENT_LENGTH, len.into());
    }
    // Names of files are escaped; this is a second line of defence.
    let policy = HeaderValue::from_static("default-src 'none'; style-src 'unsafe-inline'");
    fields.insert(CONTENT_SECURITY_POLICY, policy);
    fields.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}
