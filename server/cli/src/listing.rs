//! Directory pages. All requests share a page, until the directory changes.

mod entry;
mod page;
mod read;
mod view;

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant, SystemTime},
};

use bytes::Bytes;
use tokio::sync::watch;

pub(crate) use self::{
    page::{end, top},
    view::{Format, View},
};
use crate::{
    budget::Budget,
    disk::{Disk, Identity, Root},
    failure::Failure,
    target::Hidden,
};

/// The bytes of pages in memory, including those that stalled responses hold.
const MAX_BYTES: usize = 16 << 20;
/// Pages in memory.
const MAX_PAGES: usize = 1024;
/// The age at which a page is made again: the sizes of files change without a
/// change of their directory.
const MAX_AGE: Duration = Duration::from_secs(1);

/// A page that took long to make stays valid for ten times as long, even if the
/// directory changes. A large directory that always changes then costs a
/// tenth of a thread at most.
const HEAVY: Duration = Duration::from_millis(5);
const REST: u32 = 10;

type Rows = Result<Bytes, Failure>;

/// Rows, and the time that it took to make them.
#[derive(Clone)]
struct Made {
    rows: Rows,
    took: Duration,
}

/// The pages of all directories.
pub(crate) struct Listings {
    root: Arc<Root>,
    disk: Arc<Disk>,
    hidden: Hidden,
    /// Every path to a directory has the same pages.
    pages: Mutex<HashMap<Key, Page>>,
    budget: Arc<Budget>,
}

/// Device and inode of a directory, and the view of it.
type Key = ((u64, u64), View);

struct Page {
    /// The directory before it was read.
    identity: Identity,
    /// The time at which reading began.
    since: Instant,
    /// A later change shows in the identity.
    settled: bool,
    /// `None` while it is made.
    made: watch::Receiver<Option<Made>>,
}

impl Page {
    fn is_finished(&self) -> bool {
        self.made.borrow().is_some()
    }

    fn is_good_for(&self, identity: Identity) -> bool {
        let age = self.since.elapsed();
        match &*self.made.borrow() {
            None => self.identity == identity,
            Some(made) if made.took >= HEAVY && age < made.took * (REST + 1) => true,
            Some(_) => self.identity == identity && self.settled && age < MAX_AGE,
        }
    }

    fn rows(&self) -> Option<Bytes> {
        self.made.borrow().as_ref()?.rows.as_ref().ok().cloned()
    }
}

impl Listings {
    pub(crate) fn new(root: Arc<Root>, disk: Arc<Disk>, hidden: Hidden) -> Self {
        Self {
            root,
            disk,
            hidden,
            pages: Mutex::default(),
            budget: Budget::new(MAX_BYTES),
        }
    }

    /// The rows of the directory at `path`, which was `identity` just now, in a form and an order.
    pub(crate) async fn page(self: &Arc<Self>, path: &str, identity: Identity, view: View) -> Rows {
        let mut made = self.make_once(path, identity, view);
        let made = made.wait_for(Option::is_some).await;
        made.ok()
            .and_then(|made| Some(made.as_ref()?.rows.clone()))
            .unwrap_or_else(|| Err(Failure::Internal("a directory page failed".into())))
    }

    /// Starts to make the page unless that is done or under way. A client that
    /// cancels does not stop it: a flood of cancelled requests would start it
    /// again and again.
    fn make_once(
        self: &Arc<Self>,
        path: &str,
        identity: Identity,
        view: View,
    ) -> watch::Receiver<Option<Made>> {
        let mut pages = self.pages.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (identity.place(), view);
        let old = pages.get(&key);
        if let Some(page) = old.filter(|page| page.is_good_for(identity)) {
            return page.made.clone();
        }
        let before = old.and_then(Page::rows);
        let (done, made) = watch::channel(None);
        if pages.len() >= MAX_PAGES {
            make_room(&mut pages);
        }
        pages.insert(
            key,
            Page {
                identity,
                since: Instant::now(),
                settled: identity.is_settled(SystemTime::now()),
                made: made.clone(),
            },
        );
        drop(pages);
        let listings = Arc::clone(self);
        let path = path.to_owned();
        tokio::spawn(async move {
            let made = listings.make(path, view, before).await;
            done.send_replace(Some(made));
        });
        made
    }

    async fn make(self: Arc<Self>, path: String, view: View, before: Option<Bytes>) -> Made {
        let listings = Arc::clone(&self);
        let job = self.disk.listings.run(move || {
            let begin = Instant::now();
            let rows = listings.read(&path, view, before);
            let took = begin.elapsed();
            Made { rows, took }
        });
        job.await.unwrap_or_else(|failure| Made {
            rows: Err(failure),
            took: Duration::ZERO,
        })
    }

    fn read(&self, path: &str, view: View, before: Option<Bytes>) -> Rows {
        let (entries, left_out) = read::read(&self.root, path, self.hidden)?;
        let rows = page::rows(entries, left_out, view);
        // Stalled responses may hold the old page. If the new one is equal, the old one stays and
        // costs no more memory.
        if let Some(before) = before.filter(|before| before == rows.as_bytes()) {
            return Ok(before);
        }
        let charge = self.budget.charge(rows.len()).or_else(|| {
            let mut pages = self.pages.lock().unwrap_or_else(PoisonError::into_inner);
            pages.retain(|_, page| !page.is_finished());
            drop(pages);
            self.budget.charge(rows.len())
        });
        let Some(charge) = charge else {
            let text = format!("directory pages that are being sent hold {MAX_BYTES} bytes");
            return Err(Failure::Busy(text));
        };
        Ok(charge.hold(rows.into_bytes()))
    }
}

/// Drops the oldest half of the pages that are finished.
fn make_room(pages: &mut HashMap<Key, Page>) {
    let mut times: Vec<_> = pages
        .values()
        .filter(|page| page.is_finished())
        .map(|page| page.since)
        .collect();
    if times.is_empty() {
        return;
    }
    let half = times.len() / 2;
    let (_, &mut last, _) = times.select_nth_unstable(half);
    pages.retain(|_, page| !page.is_finished() || page.since > last);
}

#[cfg(test)]
mod tests {
    use std::{fs, path::Path};

    use super::*;
    use crate::disk::{Links, MIN_OPEN_FILES, TestFolder};

    struct Tree {
        folder: TestFolder,
        listings: Arc<Listings>,
    }

    impl Tree {
        fn new(name: &str) -> Self {
            let folder = TestFolder::new(name);
            let root = Arc::new(Root::new(folder.path(), Links::Within));
            let disk = Arc::new(Disk::new(MIN_OPEN_FILES));
            let listings = Arc::new(Listings::new(root, disk, Hidden::Omit));
            Self { folder, listings }
        }

        fn identity(&self) -> Identity {
            Identity::of(self.folder.path()).unwrap()
        }

        async fn page(&self) -> Bytes {
            self.listings
                .page("", self.identity(), View::default())
                .await
                .unwrap()
        }
    }

    #[tokio::test]
    async fn one_page_is_shared_and_a_changed_directory_has_a_new_one() {
        let tree = Tree::new("shared");
        fs::write(tree.folder.join("a"), "").unwrap();
        let (first, second) = tokio::join!(tree.page(), tree.page());
        assert_eq!(first.as_ptr(), second.as_ptr());
        // Read again or not, what did not change is held once.
        assert_eq!(first.as_ptr(), tree.page().await.as_ptr());
        fs::write(tree.folder.join("b"), "").unwrap();
        // A page that took long is good for a while.
        loop {
            let page = String::from_utf8(tree.page().await.to_vec()).unwrap();
            if page.contains("./b\"") {
                break;
            }
        }
    }

    #[tokio::test]
    async fn waiting_requests_share_one_reading() {
        let tree = Tree::new("once");
        let identity = tree.identity();
        let first = tree.listings.make_once("", identity, View::default());
        let second = tree.listings.make_once("", identity, View::default());
        assert!(first.same_channel(&second));
        drop((first, second));
        assert_eq!(tree.listings.pages.lock().unwrap().len(), 1);
        assert!(
            tree.listings
                .page("", identity, View::default())
                .await
                .is_ok()
        );
    }

    #[tokio::test]
    async fn pages_that_are_held_are_bounded() {
        let tree = Tree::new("held");
        let all = tree.listings.budget.charge(MAX_BYTES).unwrap();
        let page = tree
            .listings
            .page("", tree.identity(), View::default())
            .await;
        let Err(Failure::Busy(said)) = page else {
            panic!("{page:?}")
        };
        assert!(said.contains("16777216 bytes"), "{said}");
        drop(all);
        // A failure is kept no longer than a page.
        tree.listings.pages.lock().unwrap().clear();
        assert!(
            tree.listings
                .page("", tree.identity(), View::default())
                .await
                .is_ok()
        );
    }

    #[test]
    fn a_page_that_took_long_outlives_a_change() {
        let before = Identity::of(Path::new(".")).unwrap();
        let after = Identity::of(Path::new("..")).unwrap();
        let is_good = |took| {
            let rows = Ok(Bytes::new());
            let (_done, made) = watch::channel(Some(Made { rows, took }));
            let page = Page {
                identity: before,
                since: Instant::now(),
                settled: false,
                made,
            };
            page.is_good_for(after)
        };
        assert!(is_good(Duration::from_secs(60)));
        assert!(!is_good(Duration::from_millis(1)));
    }

    #[test]
    fn the_number_of_pages_is_bounded() {
        let (_done, made) = watch::channel(Some(Made {
            rows: Ok(Bytes::new()),
            took: Duration::ZERO,
        }));
        let mut pages = HashMap::new();
        let identity = Identity::of(Path::new(".")).unwrap();
        for number in 0..10 {
            let page = Page {
                identity,
                since: Instant::now(),
                settled: true,
                made: made.clone(),
            };
            pages.insert(((0, number), View::default()), page);
        }
        make_room(&mut pages);
        assert!(pages.len() <= 5, "{}", pages.len());
    }
}
