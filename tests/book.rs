//! The book's pages about modules are made of the modules' own comments, and the mistakes that the guide shows are those that
//! people see.
//!
//! `KSTATE_WRITE_BOOK=1 cargo test --test kstate book` writes them anew.

use std::fs;
use std::path::Path;

/// The errors and warnings with an excerpt that a page shows for commands that look at the tree alone.
fn shown(page: &str) -> impl Iterator<Item = &str> {
    let blocks = page.split("```console\n").skip(1).filter_map(|rest| rest.split("\n```").next());
    let of_tree = |block: &&str| {
        ["check", "compare", "show"].iter().any(|command| block.starts_with(&format!("$ kstate {command}")))
    };
    let told = |paragraph: &'_ str| {
        let is_start = |line: &&str| line.starts_with("error: ") || line.starts_with("warning: ");
        paragraph.lines().find(is_start).and_then(|line| paragraph.find(line))
    };
    let paragraphs = blocks.filter(of_tree).flat_map(|block| block.split("\n\n"));
    paragraphs
        .filter_map(move |paragraph| told(paragraph).map(|start| &paragraph[start..]))
        .filter(|paragraph| paragraph.contains("--> "))
}

#[test]
fn the_mistakes_of_the_guide_are_told_as_it_shows_them() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let texts = |folder: &str| -> Vec<String> {
        let paths = fs::read_dir(root.join(folder)).unwrap().map(|entry| entry.unwrap().path());
        paths.map(|path| fs::read_to_string(path).unwrap()).collect()
    };
    let goldens = [texts("tests/mistakes"), texts("tests/suspicions")].concat();
    let mut count = 0;
    for page in texts("book/src/guide") {
        for told in shown(&page) {
            assert!(goldens.iter().any(|golden| golden.contains(told)), "no golden file has:\n{told}");
            count += 1;
        }
    }
    assert!(count >= 6, "{count}");
}

#[test]
fn the_pages_about_modules_are_up_to_date() {
    let book = Path::new(env!("CARGO_MANIFEST_DIR")).join("book/src");
    let pages = kstate_modules::book::pages();
    let list: String =
        pages.iter().map(|(module, _)| format!("- [{module}](modules/{module}.md)\n")).collect();
    let summary = fs::read_to_string(book.join("SUMMARY.md")).unwrap();
    let (before, rest) = summary.split_once("# Modules\n\n").unwrap();
    let (_, after) = rest.split_once("\n#").unwrap();
    let wanted = format!("{before}# Modules\n\n{list}\n#{after}");
    if std::env::var_os("KSTATE_WRITE_BOOK").is_some() {
        fs::create_dir_all(book.join("modules")).unwrap();
        fs::write(book.join("SUMMARY.md"), &wanted).unwrap();
        for (module, page) in &pages {
            fs::write(book.join(format!("modules/{module}.md")), page).unwrap();
        }
        return;
    }
    assert_eq!(summary, wanted, "SUMMARY.md does not list the modules");
    for (module, page) in &pages {
        let there = fs::read_to_string(book.join(format!("modules/{module}.md"))).unwrap_or_default();
        assert_eq!(&there, page, "modules/{module}.md is not up to date");
    }
    let there = fs::read_dir(book.join("modules")).unwrap().count();
    assert_eq!(there, pages.len(), "modules/ holds a page of a module that is no more");
}
