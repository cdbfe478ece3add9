//! Content of both directions: a body that follows its plan, and a reader that checks every byte.

use std::{
    future::Future,
    io, panic,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue};
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt as _;
use tokio::time::{Sleep, sleep};

use crate::plan::{Content, End, Length, Reading};

/// In the message of every panic that a plan has.
const PLANNED: &str = "a planned panic";

/// Panics that a plan has are not printed.
pub(crate) fn silence_planned_panics() {
    let print = panic::take_hook();
    panic::set_hook(Box::new(move |info| {
        if info.payload().downcast_ref::<&str>() != Some(&PLANNED) {
            print(info);
        }
    }));
}

pub(crate) fn panic_as_planned() -> ! {
    panic!("a planned panic")
}

/// Something that must be gone in the end.
#[derive(Debug)]
pub(crate) struct Live(Arc<AtomicUsize>);

impl Live {
    pub(crate) fn new(count: &Arc<AtomicUsize>) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(count))
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The byte at an offset of the content with this number.
fn byte(number: u32, at: usize) -> u8 {
    let mixed = (at as u32 ^ (at as u32 >> 8)).wrapping_mul(31);
    mixed.wrapping_add(number.wrapping_mul(101)) as u8
}

/// A body that follows its plan.
#[derive(Debug)]
pub(crate) struct Source {
    number: u32,
    plan: Content,
    sent: usize,
    sleep: Option<Pin<Box<Sleep>>>,
    over: bool,
    empty: bool,
    /// Called when it fails or panics.
    failed: Arc<AtomicUsize>,
    _live: Live,
}

impl Source {
    pub(crate) fn new(number: u32, plan: Content, failed: &Arc<AtomicUsize>, live: Live) -> Self {
        Self {
            number,
            plan,
            sent: 0,
            sleep: None,
            over: false,
            empty: false,
            failed: Arc::clone(failed),
            _live: live,
        }
    }

    /// Without content: an error page.
    pub(crate) fn empty(live: Live) -> Self {
        let plan = Content {
            len: 0,
            piece: 1,
            pauses: 0,
            pause: std::time::Duration::ZERO,
            end: End::Whole,
            length: Length::Hint,
            trailers: false,
        };
        Self {
            empty: true,
            ..Self::new(0, plan, &Arc::default(), live)
        }
    }
}

impl Body for Source {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        let source = &mut *self;
        if source.over {
            return Poll::Ready(None);
        }
        if source.sleep.is_none() && source.plan.pauses > 0 {
            source.plan.pauses -= 1;
            source.sleep = Some(Box::pin(sleep(source.plan.pause)));
        }
        if let Some(sleep) = &mut source.sleep {
            ready!(sleep.as_mut().poll(cx));
            source.sleep = None;
        }
        let stop = match source.plan.end {
            End::Whole => source.plan.len,
            End::Fails(at) | End::Panics(at) => at,
        };
        if source.sent < stop {
            let len = source.plan.piece.min(stop - source.sent);
            let from = source.sent;
            source.sent += len;
            let bytes = (from..from + len).map(|at| byte(source.number, at));
            let data = Bytes::from_iter(bytes);
            return Poll::Ready(Some(Ok(Frame::data(data))));
        }
        source.over = true;
        match source.plan.end {
            End::Whole if source.plan.trailers => {
                let mut trailers = HeaderMap::new();
                trailers.insert("x-number", HeaderValue::from(source.number));
                Poll::Ready(Some(Ok(Frame::trailers(trailers))))
            }
            End::Whole => Poll::Ready(None),
            End::Fails(_) => {
                source.failed.fetch_add(1, Ordering::Relaxed);
                Poll::Ready(Some(Err(io::Error::other("a planned error"))))
            }
            End::Panics(_) => {
                source.failed.fetch_add(1, Ordering::Relaxed);
                panic_as_planned()
            }
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self.plan.length {
            Length::Hint if self.plan.end == End::Whole && !self.plan.trailers || self.empty => {
                SizeHint::with_exact((self.plan.len - self.sent) as u64)
            }
            _ => SizeHint::default(),
        }
    }
}

/// The content as its reader saw it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Seen {
    /// It ended well.
    Whole {
        len: usize,
        trailers: bool,
    },
    Failed {
        len: usize,
        error: String,
    },
    /// The reader left it.
    Left {
        len: usize,
    },
}

/// Reads content as planned. Every byte is compared.
pub(crate) async fn read<B>(body: B, number: u32, reading: Reading) -> Seen
where
    B: Body<Data = Bytes, Error: std::fmt::Display>,
{
    let mut body = std::pin::pin!(body);
    let mut len = 0;
    let mut trailers = false;
    let mut pauses = 8;
    match reading {
        Reading::None => return Seen::Left { len },
        Reading::Late(time) => sleep(time).await,
        Reading::All | Reading::Slowly(_) | Reading::Some(_) => {}
    }
    loop {
        match reading {
            Reading::Some(most) if len >= most => return Seen::Left { len },
            Reading::Slowly(time) if pauses > 0 => {
                pauses -= 1;
                sleep(time).await;
            }
            _ => {}
        }
        let frame = match body.frame().await {
            None => return Seen::Whole { len, trailers },
            Some(Err(error)) => {
                let error = error.to_string();
                return Seen::Failed { len, error };
            }
            Some(Ok(frame)) => frame,
        };
        assert!(!trailers, "something behind the trailers");
        match frame.into_data() {
            Ok(data) => {
                for (at, &found) in data.iter().enumerate() {
                    assert!(
                        found == byte(number, len + at),
                        "another byte at {}",
                        len + at
                    );
                }
                len += data.len();
            }
            Err(frame) => {
                let fields = frame.into_trailers().expect("data or trailers");
                assert_eq!(fields["x-number"], HeaderValue::from(number));
                trailers = true;
            }
        }
    }
}
