//! `cargo xtask tidy`: the project's rules that a compiler cannot check.
//!
//! Each rule is a function from one file (or the list of files) to complaints. A complaint names
//! the file, the line if there is one, and the remedy.

mod boundaries;
mod imports;
mod manifest;
mod public_types;
mod shape;
mod source;

use crate::{packages, shell};
use std::path::Path;
use std::process::Command;

pub(crate) fn run(args: &[String]) -> Result<(), String> {
    if let Some(arg) = args.first() {
        return Err(format!("`tidy` takes no argument, got `{arg}`"));
    }
    let tree = Tree::read(&shell::root())?;
    let mut complaints = check(&tree);
    complaints.extend(packages::check()?);
    for complaint in &complaints {
        say!("{complaint}");
    }
    for place in shape::needless_exceptions(&tree.files) {
        say!("note: {place} no longer needs its exception (xtask/src/tidy/shape.rs)");
    }
    if complaints.is_empty() {
        say!("tidy: {} files, no complaints", tree.files.len());
        Ok(())
    } else {
        Err(format!("{} complaints", complaints.len()))
    }
}

/// The folders of the published crates.
const PUBLISHED: [&str; 10] = [
    "hpack",
    "spdy-zlib",
    "frames",
    "conn",
    "conn/kube",
    "server",
    "client",
    "client/conform",
    "client/cli",
    "server/cli",
];
/// The files that each of them must have beside its manifest.
const BESIDE_MANIFEST: [&str; 4] = ["README.md", "CHANGELOG.md", "LICENSE-MIT", "LICENSE-APACHE"];
/// The largest file in bytes. Downloads and corpora stay outside the repository.
const MAX_BYTES: u64 = 256 << 10;
/// The hard limit for the length of a file; the rule is about 600 lines.
const MAX_LINES: usize = 660;
/// Names of files that collect unrelated items.
const NAMELESS: [&str; 6] = ["util", "utils", "misc", "helpers", "common", "stuff"];
/// The only module of the published crates with unsafe code.
const UNSAFE_MODULE: &str = "conn/src/npn.rs";
/// The command that writes the generated files, as in their banner.
const GENERATOR: &str = "cargo xtask codegen";

/// One text file of the project.
struct File {
    /// Relative to the root, with `/`.
    path: String,
    text: String,
}

impl File {
    fn name(&self) -> &str {
        self.path.rsplit('/').next().unwrap_or(&self.path)
    }

    fn is_rust(&self) -> bool {
        self.path.ends_with(".rs")
    }

    fn is_generated(&self) -> bool {
        self.text
            .lines()
            .take(6)
            .any(|line| line.starts_with("//") && line.contains(GENERATOR))
    }

    fn complaint(&self, line: usize, what: &str) -> String {
        if line == 0 {
            format!("{}: {what}", self.path)
        } else {
            format!("{}:{line}: {what}", self.path)
        }
    }
}

/// Every file of the project that is, or could be, committed.
#[derive(Default)]
struct Tree {
    /// The text files.
    files: Vec<File>,
    /// Path and size of every file, text or not.
    sizes: Vec<(String, u64)>,
}

impl Tree {
    fn read(root: &Path) -> Result<Self, String> {
        let list = shell::output(
            Command::new("git")
                .args([
                    "ls-files",
                    "-z",
                    "--cached",
                    "--others",
                    "--exclude-standard",
                ])
                .current_dir(root),
        )?;
        let paths = || list.split('\0').filter(|path| !path.is_empty());
        let sizes = paths()
            .filter_map(|path| {
                let size = root.join(path).metadata().ok()?.len();
                Some((path.to_owned(), size))
            })
            .collect();
        let files = paths()
            // Skip a file that is deleted but not yet committed, or that is not UTF-8.
            .filter_map(|path| {
                let text = std::fs::read_to_string(root.join(path)).ok()?;
                Some(File {
                    path: path.to_owned(),
                    text,
                })
            })
            .collect();
        Ok(Self { files, sizes })
    }

    fn has(&self, path: &str) -> bool {
        self.files.iter().any(|file| file.path == path)
    }
}

fn check(tree: &Tree) -> Vec<String> {
    let mut complaints = crate_files(tree);
    complaints.extend(oversized(tree));
    complaints.extend(imports::circles(tree));
    complaints.extend(imports::upward(tree));
    complaints.extend(public_types::listed(tree));
    complaints.extend(public_types::one_meaning(tree));
    let rules = [
        file_names,
        length,
        generated_banner,
        boundaries::boundaries,
        unfinished,
        forbid_unsafe,
        unsafe_module,
        foreign_words,
        shape::shape,
        manifest::features_documented,
        manifest::dependencies_inherited,
    ];
    for file in &tree.files {
        for rule in rules {
            complaints.extend(rule(file));
        }
    }
    complaints
}

/// Every published crate has a README, a changelog and licences.
fn crate_files(tree: &Tree) -> Vec<String> {
    PUBLISHED
        .iter()
        .flat_map(|krate| {
            BESIDE_MANIFEST
                .iter()
                .map(move |name| format!("{krate}/{name}"))
        })
        .filter(|path| !tree.has(path))
        .map(|path| format!("{path}: missing; every published crate needs it"))
        .collect()
}

/// No download and no corpus is committed by accident.
fn oversized(tree: &Tree) -> Vec<String> {
    let large = tree.sizes.iter().filter(|(_, size)| *size > MAX_BYTES);
    large
        .map(|(path, size)| {
            format!("{path}: {size} bytes; keep files over {MAX_BYTES} out of the repository")
        })
        .collect()
}

/// A generated file names the command that wrote it. `codegen --check` checks its contents.
fn generated_banner(file: &File) -> Vec<String> {
    let claims = concat!("@gen", "erated");
    let head: Vec<&str> = file.text.lines().take(6).collect();
    let claimed = file.is_rust() && head.iter().any(|line| line.contains(claims));
    if claimed && !file.is_generated() {
        let what = format!("generated, but no banner names `{GENERATOR}`");
        vec![file.complaint(1, &what)]
    } else {
        Vec::new()
    }
}

/// `foo.rs` + `foo/`, never `mod.rs`; no file for unrelated items.
fn file_names(file: &File) -> Vec<String> {
    let Some(stem) = file.name().strip_suffix(".rs") else {
        return Vec::new();
    };
    // In other projects, integration tests share code through `tests/<name>/mod.rs`. Here a plain
    // folder module does so.
    if stem == "mod" {
        vec![file.complaint(
            0,
            "no mod.rs: name the file after its module, beside the folder",
        )]
    } else if NAMELESS.contains(&stem) {
        vec![file.complaint(0, "name the file after the one concern it holds")]
    } else {
        Vec::new()
    }
}

fn length(file: &File) -> Vec<String> {
    let lines = file.text.lines().count();
    let source = [".rs", ".js", ".go"]
        .iter()
        .any(|end| file.path.ends_with(end));
    if !source || file.is_generated() || lines <= MAX_LINES {
        return Vec::new();
    }
    let what = format!("{lines} lines; split it by concern (about 600 is the limit)");
    vec![file.complaint(0, &what)]
}

/// The code has no marks for unfinished work.
fn unfinished(file: &File) -> Vec<String> {
    let kinds = [".rs", ".toml", ".js", ".go", ".sh", "/run"];
    if !kinds.iter().any(|end| file.path.ends_with(end)) {
        return Vec::new();
    }
    let words = [
        concat!("TO", "DO"),
        concat!("FIX", "ME"),
        concat!("XX", "X"),
        concat!("todo", "!("),
        concat!("unimplemented", "!("),
        concat!("#[ig", "nore"),
    ];
    let mut complaints = Vec::new();
    for (number, line) in file.text.lines().enumerate() {
        for word in words {
            if source::has_word(line, word) {
                let what = format!("`{word}`: finish it, or write an issue");
                complaints.push(file.complaint(number + 1, &what));
            }
        }
    }
    complaints
}

/// Every library forbids unsafe code itself. The only one that has some says where.
fn forbid_unsafe(file: &File) -> Vec<String> {
    let Some(krate) = file.path.strip_suffix("/src/lib.rs") else {
        return Vec::new();
    };
    if !PUBLISHED.contains(&krate) {
        return Vec::new();
    }
    let wanted: &[&str] = if UNSAFE_MODULE.starts_with(&format!("{krate}/")) {
        &[
            "#![cfg_attr(not(feature = \"npn\"), forbid(unsafe_code))]",
            "#![cfg_attr(feature = \"npn\", deny(unsafe_code))]",
        ]
    } else {
        &["#![forbid(unsafe_code)]"]
    };
    let has = |line: &&str| file.text.lines().any(|found| found.trim() == *line);
    wanted
        .iter()
        .filter(|line| !has(line))
        .map(|line| file.complaint(0, &format!("`{line}` is missing")))
        .collect()
}

/// Only one module of the libraries and programs has unsafe code.
fn unsafe_module(file: &File) -> Vec<String> {
    let published = PUBLISHED
        .iter()
        .any(|krate| file.path.starts_with(&format!("{krate}/")));
    // Fuzz targets are packages of their own, and call C functions for comparison.
    let fuzzed = file.path.contains("/fuzz/");
    if !published || fuzzed || !file.is_rust() || file.path == UNSAFE_MODULE {
        return Vec::new();
    }
    let code = source::without_comments(&file.text);
    code.lines()
        .enumerate()
        .filter(|(_, line)| {
            // Matches the keyword, not a word in a string.
            let opens = ["{", "fn", "impl", "trait", "extern"];
            let opens = opens.map(|next| format!("{} {next}", concat!("un", "safe")));
            opens.iter().any(|words| source::has_word(line, words))
        })
        .map(|(number, _)| {
            let what = format!("unsafe code; {UNSAFE_MODULE} alone may have some");
            file.complaint(number + 1, &what)
        })
        .collect()
}

/// Paths of one machine and hosts of package registries are useless on other machines.
fn foreign_words(file: &File) -> Vec<String> {
    if file.path.ends_with("Cargo.lock")
        || file.path.ends_with(".json") && !file.path.ends_with("lock.json")
    {
        return Vec::new();
    }
    let words = [
        concat!("/wo", "rk/"),
        concat!("/tmp/", "target-"),
        concat!("/ro", "ot/"),
        concat!("/Us", "ers/"),
        concat!("crates", ".io"),
        concat!("registry.", "npmjs"),
        concat!("pypi", ".org"),
        concat!("proxy.", "golang"),
        concat!("deb.", "debian"),
    ];
    let mut complaints = Vec::new();
    for (number, line) in file.text.lines().enumerate() {
        for word in words {
            if line.contains(word) {
                let what =
                    format!("`{word}` belongs to a machine or a registry, not to the project");
                complaints.push(file.complaint(number + 1, &what));
            }
        }
    }
    complaints
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(path: &str, text: &str) -> File {
        File {
            path: path.to_owned(),
            text: text.to_owned(),
        }
    }

    #[test]
    fn long_files_are_named_unless_generated() {
        let long = "line\n".repeat(MAX_LINES + 1);
        assert_eq!(length(&file("a/src/lib.rs", &long)).len(), 1);
        assert!(length(&file("a/README.md", &long)).is_empty());
        let generated = format!("{}{long}", crate::codegen::BANNER);
        assert!(length(&file("a/src/table.rs", &generated)).is_empty());
    }

    #[test]
    fn generated_files_name_their_command() {
        let own = concat!("// @gen", "erated by hand\n");
        assert_eq!(generated_banner(&file("a/src/table.rs", own)).len(), 1);
        assert!(generated_banner(&file("a/src/table.rs", crate::codegen::BANNER)).is_empty());
    }

    #[test]
    fn file_names_say_what_is_in_them() {
        assert_eq!(file_names(&file("conn/src/proto/mod.rs", "")).len(), 1);
        assert_eq!(file_names(&file("conn/src/utils.rs", "")).len(), 1);
        assert!(file_names(&file("conn/src/model.rs", "")).is_empty());
    }

    #[test]
    fn unfinished_work_is_found() {
        for word in [
            concat!("// TO", "DO later"),
            concat!("todo", "!()"),
            concat!("#[ig", "nore]"),
        ] {
            assert_eq!(unfinished(&file("a/src/lib.rs", word)).len(), 1, "{word}");
        }
        assert!(unfinished(&file("a/src/lib.rs", concat!("let hex = \"aXX", "Xb\";"))).is_empty());
    }

    #[test]
    fn crates_carry_their_papers() {
        let mut tree = Tree::default();
        assert_eq!(
            crate_files(&tree).len(),
            PUBLISHED.len() * BESIDE_MANIFEST.len()
        );
        tree.files.push(file("hpack/README.md", ""));
        assert_eq!(
            crate_files(&tree).len(),
            PUBLISHED.len() * BESIDE_MANIFEST.len() - 1
        );
    }

    #[test]
    fn large_files_stay_out() {
        let tree = |size| Tree {
            sizes: vec![("tool.whl".to_owned(), size)],
            ..Tree::default()
        };
        assert!(oversized(&tree(MAX_BYTES)).is_empty());
        assert_eq!(oversized(&tree(MAX_BYTES + 1)).len(), 1);
    }

    #[test]
    fn libraries_forbid_unsafe_code() {
        assert_eq!(
            forbid_unsafe(&file("hpack/src/lib.rs", "//! Doc.\n")).len(),
            1
        );
        assert!(forbid_unsafe(&file("hpack/src/lib.rs", "#![forbid(unsafe_code)]\n")).is_empty());
        assert!(forbid_unsafe(&file("xtask/src/lib.rs", "")).is_empty());
        // With the exception, `forbid` would not compile. It must still be there without the
        // feature.
        let forbid = "#![forbid(unsafe_code)]\n";
        assert_eq!(forbid_unsafe(&file("conn/src/lib.rs", forbid)).len(), 2);
        let both = "#![cfg_attr(not(feature = \"npn\"), forbid(unsafe_code))]\n\
                    #![cfg_attr(feature = \"npn\", deny(unsafe_code))]\n";
        assert!(forbid_unsafe(&file("conn/src/lib.rs", both)).is_empty());
        assert_eq!(forbid_unsafe(&file("hpack/src/lib.rs", both)).len(), 1);
    }

    #[test]
    fn one_module_has_unsafe_code() {
        let code = concat!("// un", "safe\nfn f() { un", "safe { g() } }\n");
        let found = unsafe_module(&file("conn/src/driver.rs", code));
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].contains("driver.rs:2:"));
        assert_eq!(unsafe_module(&file("client/tests/a.rs", code)).len(), 1);
        assert!(unsafe_module(&file(UNSAFE_MODULE, code)).is_empty());
        assert!(unsafe_module(&file("benches/src/lib.rs", code)).is_empty());
        let word = concat!("#![forbid(unsafe_code)]\nlet s = \"un", "safe path\";\n");
        assert!(unsafe_module(&file("hpack/src/lib.rs", word)).is_empty());
    }

    #[test]
    fn paths_of_a_machine_are_found() {
        let text = concat!("see /wo", "rk/main and /tmp/", "target-x");
        assert_eq!(foreign_words(&file("README.md", text)).len(), 2);
        assert!(foreign_words(&file("README.md", "see ../shared")).is_empty());
    }
}
