//! The book's pages about modules are made of the modules' own comments.
//!
//! `KSTATE_WRITE_BOOK=1 cargo test --test kstate book` writes them anew.

use std::fs;
use std::path::Path;

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
