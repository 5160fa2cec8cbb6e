//! The files of a checkout, by their path from its root.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// Folders that nobody wrote, or that hold results.
const NOT_OURS: &[&str] = &["target", "results", "node_modules", "__pycache__"];

/// Files by path. What is no text (a picture) is there without its content.
pub struct Tree {
    files: BTreeMap<String, String>,
}

impl Tree {
    /// A made-up tree.
    pub fn of(files: &[(&str, &str)]) -> Self {
        Tree { files: files.iter().map(|(path, text)| ((*path).to_owned(), (*text).to_owned())).collect() }
    }

    /// This checkout, without results but for what is kept in git.
    pub fn of_this_checkout() -> Self {
        let program = Path::new(env!("CARGO_MANIFEST_DIR"));
        let root = program.ancestors().nth(2).expect("the program stands two folders below the root");
        let mut files = BTreeMap::new();
        read(root, root, &mut files);
        read(root, &root.join("results/reference"), &mut files);
        files.insert("results/README.md".to_owned(), text_of(&root.join("results/README.md")));
        assert!(files.len() > 200, "only {} files in {}", files.len(), root.display());
        Tree { files }
    }

    /// The text of a file.
    pub fn text(&self, path: &str) -> Option<&str> {
        self.files.get(path).map(String::as_str)
    }

    /// Paths and texts of the files whose path ends with one of `endings`.
    pub fn ending<'a>(&'a self, endings: &'a [&str]) -> impl Iterator<Item = (&'a str, &'a str)> {
        self.files
            .iter()
            .filter(|(path, _)| endings.iter().any(|ending| path.ends_with(ending)))
            .map(|(path, text)| (path.as_str(), text.as_str()))
    }

    /// Whether there is such a file or folder.
    pub fn has(&self, path: &str) -> bool {
        let path = path.trim_end_matches('/');
        let folder = format!("{path}/");
        self.files.contains_key(path)
            || self.files.range(folder.clone()..).next().is_some_and(|(at, _)| at.starts_with(&folder))
    }

    /// Whether a file or folder fits `pattern`, in which `*` stands for anything but a slash.
    pub fn has_like(&self, pattern: &str) -> bool {
        let depth = pattern.split('/').count();
        let fits = |path: &str| {
            let parts: Vec<&str> = path.split('/').take(depth).collect();
            parts.len() == depth && parts.iter().zip(pattern.split('/')).all(|(part, like)| part_fits(part, like))
        };
        self.files.keys().any(|path| fits(path))
    }

    /// Folders directly below the root.
    pub fn top_folders(&self) -> BTreeSet<&str> {
        self.files.keys().filter_map(|path| path.split_once('/')).map(|(folder, _)| folder).collect()
    }
}

fn part_fits(part: &str, like: &str) -> bool {
    match like.split_once('*') {
        Some((before, after)) => {
            part.len() >= before.len() + after.len() && part.starts_with(before) && part.ends_with(after)
        }
        None => part == like,
    }
}

fn read(root: &Path, folder: &Path, files: &mut BTreeMap<String, String>) {
    for entry in std::fs::read_dir(folder).expect("a folder of the checkout can be read") {
        let entry = entry.expect("a folder of the checkout can be read");
        let name = entry.file_name().to_string_lossy().into_owned();
        let path = entry.path();
        if path.is_dir() {
            let hidden = name.starts_with('.') && name != ".ci";
            if !hidden && !NOT_OURS.contains(&name.as_str()) {
                read(root, &path, files);
            }
        } else {
            let below_root = path.strip_prefix(root).expect("it is below the root").to_string_lossy().into_owned();
            files.insert(below_root, text_of(&path));
        }
    }
}

fn text_of(path: &Path) -> String {
    let bytes = std::fs::read(path).expect("a file of the checkout can be read");
    String::from_utf8(bytes).unwrap_or_default()
}

#[test]
fn a_pattern_fits_whole_names_of_the_same_depth() {
    let tree = Tree::of(&[("docs/images/one.png", "")]);
    assert!(tree.has("docs") && tree.has("docs/images/") && !tree.has("doc"));
    assert!(tree.has_like("docs/images/*.png") && tree.has_like("docs/*") && !tree.has_like("docs/*.png"));
}
