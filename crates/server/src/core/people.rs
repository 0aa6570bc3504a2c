//! Tokens, the inventory and the queue: what administrators ask for.

use outrider_api::ErrorCode;
use outrider_api::tokens::{
    CreateToken, CreatedToken, Token as TokenView, TokenScope as ScopeView,
};
use outrider_model::TokenId;
use outrider_model::secret::Token;
use outrider_store::{NewToken, QueueDepth, StoreError, TokenRecord, TokenScope};

use super::Core;
use crate::ApiError;

impl Core {
    /// Makes a token. Its secret is in the answer and nowhere else.
    pub async fn create_token(&self, request: &CreateToken) -> Result<CreatedToken, ApiError> {
        let (kind, scope) = match &request.scope {
            ScopeView::Admin {} => ("admin", TokenScope::Admin),
            ScopeView::Class { class } => (
                "class",
                TokenScope::Class {
                    class: class.clone(),
                },
            ),
        };
        if request.nickname.chars().count() > 100 {
            return Err(ApiError::new(
                ErrorCode::BadRequest,
                "a nickname has at most 100 characters",
            ));
        }
        let token = Token::generate(kind, self.random.as_ref());
        let now = self.clock.now();
        let new = NewToken {
            scope: scope.clone(),
            nickname: request.nickname.clone(),
            hash: token.hash(),
            hint: token.hint(),
        };
        let id = self.store.create_token(new, now).await?;
        let record = TokenView {
            id,
            scope: request.scope.clone(),
            nickname: request.nickname.clone(),
            hint: token.hint(),
            created_at: now,
            revoked_at: None,
        };
        Ok(CreatedToken {
            record,
            token: token.reveal().to_owned(),
        })
    }

    /// Makes sure that this admin token is known: the one that the data folder keeps.
    pub async fn adopt_admin_token(&self, token: &Token) -> Result<(), StoreError> {
        if self.store.find_token(token.hash()).await?.is_some() {
            return Ok(());
        }
        let new = NewToken {
            scope: TokenScope::Admin,
            nickname: "admin".to_owned(),
            hash: token.hash(),
            hint: token.hint(),
        };
        self.store
            .create_token(new, self.clock.now())
            .await
            .map(drop)
    }

    /// All tokens, the newest first.
    pub async fn tokens(&self) -> Result<Vec<TokenRecord>, ApiError> {
        Ok(self.store.tokens().await?)
    }

    /// A token is good no longer, from this answer on.
    pub async fn revoke_token(&self, id: TokenId) -> Result<(), ApiError> {
        self.store.revoke_token(id, self.clock.now()).await?;
        self.forget_tokens();
        Ok(())
    }

    /// Metrics as text.
    pub async fn render_metrics(&self) -> Result<String, ApiError> {
        let now = self.clock.now();
        let age = |depth: &QueueDepth| {
            let age = depth
                .oldest_queued_at
                .map_or(0, |at| now.since(at).as_secs());
            i64::try_from(age).unwrap_or(i64::MAX)
        };
        let depths = self.store.queue_depths().await?;
        let ages: Vec<i64> = depths.iter().map(age).collect();
        let depths: Vec<_> = depths.into_iter().zip(ages).collect();
        Ok(self.metrics.render(&depths, self.hub.waiting()))
    }
}
