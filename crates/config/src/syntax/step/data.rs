//! Steps that move code and files.

use std::rc::Rc;

use outrider_model::plan::{
    AddSshKeysStep, AttachWorkspaceStep, CheckoutMethod, CheckoutStep, PersistToWorkspaceStep,
    RestoreCacheStep, SaveCacheStep, SetupRemoteDockerStep, Step, StoreArtifactsStep,
    StoreTestResultsStep,
};

use crate::diagnostic::{code, error};
use crate::syntax::Reader;
use crate::syntax::keys::{
    ADD_SSH_KEYS, ATTACH_WORKSPACE, CHECKOUT, PERSIST_TO_WORKSPACE, RESTORE_CACHE, SAVE_CACHE,
    SETUP_REMOTE_DOCKER, STORE_ARTIFACTS, STORE_TEST_RESULTS,
};
use crate::syntax::place::Place;
use crate::yaml::{Mapping, Node, Span, Value};

/// The longest key of a cache, with its templates.
const LONGEST_KEY: usize = 900;

/// The keys of one step.
struct Keys<'a> {
    reader: Reader<'a>,
    /// Where the step stands.
    span: Span,
    mapping: Rc<Mapping>,
}

impl<'a> Reader<'a> {
    /// A built-in step that is neither `run` nor about other steps.
    pub(super) fn data_step(self, name: &str, span: Span, body: Option<&Node>) -> Option<Step> {
        let keys = |place| self.keys(name, span, body, place);
        Some(match name {
            "checkout" => Step::Checkout(keys(&CHECKOUT)?.checkout()?),
            "setup_remote_docker" => {
                Step::SetupRemoteDocker(keys(&SETUP_REMOTE_DOCKER)?.setup_remote_docker())
            }
            "save_cache" => Step::SaveCache(keys(&SAVE_CACHE)?.save_cache()?),
            "restore_cache" => Step::RestoreCache(keys(&RESTORE_CACHE)?.restore_cache()?),
            "store_artifacts" => Step::StoreArtifacts(keys(&STORE_ARTIFACTS)?.store_artifacts()?),
            "store_test_results" => {
                Step::StoreTestResults(keys(&STORE_TEST_RESULTS)?.store_test_results()?)
            }
            "persist_to_workspace" => {
                Step::PersistToWorkspace(keys(&PERSIST_TO_WORKSPACE)?.persist_to_workspace()?)
            }
            "attach_workspace" => {
                Step::AttachWorkspace(keys(&ATTACH_WORKSPACE)?.attach_workspace()?)
            }
            _ => Step::AddSshKeys(keys(&ADD_SSH_KEYS)?.add_ssh_keys()),
        })
    }

    fn keys(self, name: &str, span: Span, body: Option<&Node>, place: &Place) -> Option<Keys<'a>> {
        let mapping = match body {
            Some(body) => self.mapping(body, &format!("`{name}`"))?.clone(),
            None => Rc::default(),
        };
        self.check_keys(&mapping, place);
        Some(Keys {
            reader: self,
            span,
            mapping,
        })
    }
}

impl Keys<'_> {
    fn text(&self, key: &str) -> Option<String> {
        let node = self.mapping.present(key)?;
        self.reader.optional(node, &format!("`{key}`"))
    }

    fn required(&self, key: &str) -> Option<&Node> {
        self.reader.required_key(&self.mapping, key, self.span)
    }

    fn required_text(&self, key: &str) -> Option<String> {
        let node = self.required(key)?;
        self.reader.name(node, &format!("`{key}`"))
    }

    /// A list that is not empty; one text stands for a list of itself.
    fn required_list(&self, key: &str) -> Option<Vec<String>> {
        let node = self.required(key)?;
        let list = self.list(node, key);
        if list.is_empty() && matches!(&node.value, Value::Sequence(items) if items.is_empty()) {
            let message = format!("`{key}` must not be empty");
            let draft = error(code::BAD_VALUE, node.span, message);
            self.reader
                .report(draft.help("list something, or remove the step"));
        }
        (!list.is_empty()).then_some(list)
    }

    fn list(&self, node: &Node, key: &str) -> Vec<String> {
        let what = format!("an entry of `{key}`");
        match &node.value {
            Value::Sequence(items) => {
                let items = items.iter();
                items
                    .filter_map(|item| self.reader.name(item, &what))
                    .collect()
            }
            Value::Scalar(_) => self.reader.name(node, &what).into_iter().collect(),
            Value::Mapping(_) | Value::Wrong => {
                self.reader.sequence(node, &format!("`{key}`"));
                vec![]
            }
        }
    }

    fn checkout(&self) -> Option<CheckoutStep> {
        Some(CheckoutStep {
            name: self.text("name"),
            path: self.text("path"),
            method: self.method()?,
        })
    }

    fn method(&self) -> Option<CheckoutMethod> {
        const METHODS: &[(&str, CheckoutMethod)] = &[
            ("blobless", CheckoutMethod::Blobless),
            ("full", CheckoutMethod::Full),
            ("shallow", CheckoutMethod::Shallow { depth: 1 }),
        ];
        let method = match self.mapping.present("method") {
            Some(node) => self.reader.choice(node, "`method`", METHODS)?,
            None => CheckoutMethod::default(),
        };
        let Some(node) = self.mapping.present("depth") else {
            return Some(method);
        };
        let depth = self.reader.integer(node, "`depth`", (1, 1_000_000))?;
        if !matches!(method, CheckoutMethod::Shallow { .. }) {
            let message = "`depth` does nothing without `method: shallow`";
            let draft = error(code::MISSING_KEY, node.span, message);
            self.reader.report(draft.help("add `method: shallow`"));
        }
        Some(CheckoutMethod::Shallow { depth })
    }

    fn setup_remote_docker(&self) -> SetupRemoteDockerStep {
        SetupRemoteDockerStep {
            name: self.text("name"),
            version: self.text("version"),
        }
    }

    fn save_cache(&self) -> Option<SaveCacheStep> {
        let (key, paths) = (self.cache_key("key"), self.required_list("paths"));
        let when = self.mapping.present("when");
        let when = when.and_then(|node| self.reader.when(node));
        Some(SaveCacheStep {
            name: self.text("name"),
            key: key?,
            paths: paths?,
            when: when.unwrap_or_default(),
        })
    }

    fn cache_key(&self, key: &str) -> Option<String> {
        let text = self.required_text(key)?;
        self.check_key_length(self.required(key)?.span, &text);
        Some(text)
    }

    fn check_key_length(&self, span: Span, key: &str) {
        let length = key.chars().count();
        if length > LONGEST_KEY {
            let message =
                format!("the key has {length} characters, more than the limit of {LONGEST_KEY}");
            let draft = error(code::BAD_VALUE, span, message);
            self.reader
                .report(draft.help("put a `checksum` of a file into it in place of a long text"));
        }
    }

    fn restore_cache(&self) -> Option<RestoreCacheStep> {
        let mut keys = vec![];
        if self.mapping.present("key").is_some() {
            keys.extend(self.cache_key("key"));
        }
        if let Some(node) = self.mapping.present("keys") {
            let listed = self.list(node, "keys");
            listed
                .iter()
                .for_each(|key| self.check_key_length(node.span, key));
            keys.extend(listed);
        }
        if keys.is_empty() && !["key", "keys"].iter().any(|key| self.is_there(key)) {
            self.reader.required(None, "keys", self.span);
        }
        (!keys.is_empty()).then(|| RestoreCacheStep {
            name: self.text("name"),
            keys,
        })
    }

    fn is_there(&self, key: &str) -> bool {
        self.mapping.present(key).is_some()
    }

    fn store_artifacts(&self) -> Option<StoreArtifactsStep> {
        Some(StoreArtifactsStep {
            name: self.text("name"),
            destination: self.text("destination"),
            path: self.required_text("path")?,
        })
    }

    fn store_test_results(&self) -> Option<StoreTestResultsStep> {
        Some(StoreTestResultsStep {
            name: self.text("name"),
            path: self.required_text("path")?,
        })
    }

    fn persist_to_workspace(&self) -> Option<PersistToWorkspaceStep> {
        let (root, paths) = (self.required_text("root"), self.required_list("paths"));
        Some(PersistToWorkspaceStep {
            name: self.text("name"),
            root: root?,
            paths: paths?,
        })
    }

    fn attach_workspace(&self) -> Option<AttachWorkspaceStep> {
        Some(AttachWorkspaceStep {
            name: self.text("name"),
            at: self.required_text("at")?,
        })
    }

    fn add_ssh_keys(&self) -> AddSshKeysStep {
        let fingerprints = self.mapping.present("fingerprints");
        AddSshKeysStep {
            name: self.text("name"),
            fingerprints: fingerprints
                .map(|node| self.list(node, "fingerprints"))
                .unwrap_or_default(),
        }
    }
}
