.kernel k, noprolog
