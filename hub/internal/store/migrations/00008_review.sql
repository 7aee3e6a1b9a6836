-- What the sheets of the approval queue look for, see hub/internal/review.

-- +goose Up

-- The newest decisions against something or in spite of something: few beside the
-- approvals, and the ones that a like case is compared with.
CREATE INDEX decision_against ON decision (at) WHERE kind IN ('return', 'reject', 'recall', 'override');

-- +goose Down
