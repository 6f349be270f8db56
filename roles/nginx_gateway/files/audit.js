// The parameters of a request as the audit log has them: SHA-256 over query string, newline, body. Nothing else of
// them is ever written.
import crypto from 'crypto';

function parameters(r) {
    const hash = crypto.createHash('sha256');
    hash.update(r.variables.args || '');
    hash.update('\n');
    const body = r.requestBuffer;
    if (body !== undefined) {
        hash.update(body);
    }
    return hash.digest('hex');
}

export default {parameters};
